// The kernel on a CPU: c++ -O2 -std=c++17 -o router router.cpp
#include "arguments.h"
#include "router.h"

int main(int count, char **words) {
  const Arguments a = parse(count, words);
  const auto logits = read<float>(a.folder + "/logits.f32", size_t(a.rows) * a.experts);
  const auto bias = read<float>(a.folder + "/bias.f32", a.experts);
  std::vector<float> weights(size_t(a.rows) * a.top_k);
  std::vector<int> ids(weights.size());
  for (size_t row = 0; row < size_t(a.rows); ++row) {
    route_row(&logits[row * a.experts], bias.data(), &weights[row * a.top_k], &ids[row * a.top_k],
              a.experts, a.top_k, a.renormalize, a.scale);
  }
  write(a.folder + "/weights.f32", weights);
  write(a.folder + "/ids.i32", ids);
  return 0;
}
