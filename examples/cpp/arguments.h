// What both programs share: arguments and raw files of float32 and int32, in the machine's order.
#pragma once
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

struct Arguments {
  int rows, experts, top_k;
  bool renormalize;
  float scale;
  std::string folder;
};

inline Arguments parse(int count, char **words) {
  if (count != 7) {
    std::fprintf(stderr, "usage: %s ROWS EXPERTS TOP_K RENORMALIZE(0|1) SCALE FOLDER\n", words[0]);
    std::exit(2);
  }
  return {std::atoi(words[1]),      std::atoi(words[2]), std::atoi(words[3]),
          std::atoi(words[4]) != 0, std::strtof(words[5], nullptr), words[6]};
}

template <typename T>
std::vector<T> read(const std::string &path, size_t count) {
  std::vector<T> values(count);
  std::FILE *file = std::fopen(path.c_str(), "rb");
  if (!file || std::fread(values.data(), sizeof(T), count, file) != count) {
    std::fprintf(stderr, "%s: expected %zu values\n", path.c_str(), count);
    std::exit(2);
  }
  std::fclose(file);
  return values;
}

template <typename T>
void write(const std::string &path, const std::vector<T> &values) {
  std::FILE *file = std::fopen(path.c_str(), "wb");
  if (!file || std::fwrite(values.data(), sizeof(T), values.size(), file) != values.size() ||
      std::fclose(file) != 0) {
    std::fprintf(stderr, "%s: cannot be written\n", path.c_str());
    std::exit(2);
  }
}
