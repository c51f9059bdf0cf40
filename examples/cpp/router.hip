// The kernel on an AMD GPU: hipcc -O2 -std=c++17 -o router router.hip
// Not run on AMD hardware by this project: its test compiles it against a stub of the HIP runtime.
#include <hip/hip_runtime.h>

#include "arguments.h"
#include "router.h"

static void check(hipError_t status, const char *what) {
  if (status == hipSuccess) return;
  std::fprintf(stderr, "%s: %s\n", what, hipGetErrorString(status));
  std::exit(1);
}

__global__ void route(const float *logits, const float *bias, float *weights, int *ids, int rows,
                      int experts, int top_k, bool renormalize, float scale) {
  const size_t row = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (row >= size_t(rows)) return;
  route_row(logits + row * experts, bias, weights + row * top_k, ids + row * top_k, experts, top_k,
            renormalize, scale);
}

template <typename T>
static T *to_device(const std::vector<T> &values) {
  T *memory = nullptr;
  check(hipMalloc(reinterpret_cast<void **>(&memory), values.size() * sizeof(T)), "hipMalloc");
  check(hipMemcpy(memory, values.data(), values.size() * sizeof(T), hipMemcpyHostToDevice),
        "hipMemcpy");
  return memory;
}

int main(int count, char **words) {
  const Arguments a = parse(count, words);
  const auto logits = read<float>(a.folder + "/logits.f32", size_t(a.rows) * a.experts);
  const auto bias = read<float>(a.folder + "/bias.f32", a.experts);
  std::vector<float> weights(size_t(a.rows) * a.top_k);
  std::vector<int> ids(weights.size());
  float *device_logits = to_device(logits), *device_bias = to_device(bias);
  float *device_weights = to_device(weights);
  int *device_ids = to_device(ids);
  const int threads = 256;
  hipLaunchKernelGGL(route, dim3((a.rows + threads - 1) / threads), dim3(threads), 0, 0,
                     device_logits, device_bias, device_weights, device_ids, a.rows, a.experts,
                     a.top_k, a.renormalize, a.scale);
  check(hipGetLastError(), "route");
  check(hipDeviceSynchronize(), "route");
  check(hipMemcpy(weights.data(), device_weights, weights.size() * sizeof(float),
                  hipMemcpyDeviceToHost), "hipMemcpy");
  check(hipMemcpy(ids.data(), device_ids, ids.size() * sizeof(int), hipMemcpyDeviceToHost),
        "hipMemcpy");
  write(a.folder + "/weights.f32", weights);
  write(a.folder + "/ids.i32", ids);
  check(hipFree(device_logits), "hipFree");
  check(hipFree(device_bias), "hipFree");
  check(hipFree(device_weights), "hipFree");
  check(hipFree(device_ids), "hipFree");
  return 0;
}
