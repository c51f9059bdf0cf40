"""aiter's kernel"""
