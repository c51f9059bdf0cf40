// One row of MiniMax-M2.5's routing in float32: sigmoid, bias, top-k of E, renormalised weights.
// The same code runs on a CPU (router.cpp) and in a HIP kernel (router.hip).
#pragma once
#include <cmath>

#ifdef __HIPCC__
#define ROUTER_DEVICE __host__ __device__
#else
#define ROUTER_DEVICE
#endif

// logits [experts], bias [experts] in; weights [top_k], ids [top_k] out.
ROUTER_DEVICE inline void route_row(const float *logits, const float *bias, float *weights, int *ids,
                                    int experts, int top_k, bool renormalize, float scale) {
  float sum = 0.0f;
  for (int slot = 0; slot < top_k; ++slot) {
    int best = -1;
    float best_biased = -INFINITY;
    float best_score = 0.0f;
    for (int expert = 0; expert < experts; ++expert) {
      bool taken = false;
      for (int earlier = 0; earlier < slot; ++earlier) taken = taken || ids[earlier] == expert;
      if (taken) continue;
      const float score = 1.0f / (1.0f + expf(-logits[expert]));
      const float biased = score + bias[expert];
      // False for NaN, which is never selected; of equal ones the first stays.
      if (biased > best_biased) {
        best = expert;
        best_biased = biased;
        best_score = score;
      }
    }
    ids[slot] = best;
    weights[slot] = best_score;
    sum += best_score;
  }
  for (int slot = 0; slot < top_k; ++slot) {
    weights[slot] = (renormalize ? weights[slot] / sum : weights[slot]) * scale;
  }
}
