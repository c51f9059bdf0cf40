// The few calls of the HIP runtime that examples/cpp/router.hip makes, on the CPU, one thread after
// the other. It shows that the example compiles and computes, and nothing about a GPU.
#pragma once
#include <cstdlib>
#include <cstring>

#define __global__
#define __host__
#define __device__

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x_, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
static dim3 blockIdx(0), blockDim(0), threadIdx(0);

enum hipError_t { hipSuccess };
enum hipMemcpyKind { hipMemcpyHostToDevice, hipMemcpyDeviceToHost };

inline hipError_t hipMalloc(void **memory, size_t bytes) {
  *memory = std::malloc(bytes);
  return hipSuccess;
}
inline hipError_t hipMemcpy(void *to, const void *from, size_t bytes, hipMemcpyKind) {
  std::memcpy(to, from, bytes);
  return hipSuccess;
}
inline hipError_t hipFree(void *memory) {
  std::free(memory);
  return hipSuccess;
}
inline hipError_t hipGetLastError() { return hipSuccess; }
inline hipError_t hipDeviceSynchronize() { return hipSuccess; }
inline const char *hipGetErrorString(hipError_t) { return "no error"; }

#define hipLaunchKernelGGL(kernel, grid, block, shared, stream, ...)                       \
  do {                                                                                     \
    blockDim = (block);                                                                    \
    for (blockIdx.x = 0; blockIdx.x < (grid).x; ++blockIdx.x)                              \
      for (threadIdx.x = 0; threadIdx.x < blockDim.x; ++threadIdx.x) kernel(__VA_ARGS__);  \
  } while (false)
