"""The files of a run folder."""

RUN, SAMPLES, JOURNAL, JUNIT = "run.json", "samples.jsonl", "journal.jsonl", "junit.xml"
