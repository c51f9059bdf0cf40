// The few names of HIP, PyTorch, hipCUB, rocPRIM and CK that kernel sources need here, in our own words.
//
// Device code alone is compiled: host-side names (streams, launches, tensor checks) are absent or
// empty. Each device function is written from its documented meaning with clang's AMDGPU builtins.
#pragma once
#include <type_traits>

#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __host__ __attribute__((host))
#define __shared__ __attribute__((shared))
#define __launch_bounds__(threads) __attribute__((launch_bounds(threads)))
#define __inline__ inline
#define __forceinline__ inline __attribute__((always_inline))
#define INFINITY (__builtin_huge_valf())
#define USE_ROCM 1

using size_t = decltype(sizeof(0));
using int8_t = signed char;
using uint8_t = unsigned char;
using int16_t = short;
using uint16_t = unsigned short;
using int32_t = int;
using uint32_t = unsigned int;
using int64_t = long long;
using uint64_t = unsigned long long;
using hipStream_t = void*;

namespace goldgate_shim {
struct thread_index
{
    __declspec(property(get = get_x)) unsigned int x;
    __device__ unsigned int get_x() const { return __builtin_amdgcn_workitem_id_x(); }
};
struct block_index
{
    __declspec(property(get = get_x)) unsigned int x;
    __device__ unsigned int get_x() const { return __builtin_amdgcn_workgroup_id_x(); }
};
struct block_size
{
    __declspec(property(get = get_x)) unsigned int x;
    __device__ unsigned int get_x() const { return __builtin_amdgcn_workgroup_size_x(); }
};
} // namespace goldgate_shim

inline constexpr __device__ goldgate_shim::thread_index threadIdx{};
inline constexpr __device__ goldgate_shim::block_index blockIdx{};
inline constexpr __device__ goldgate_shim::block_size blockDim{};

// A barrier with workgroup-wide release and acquire, as HIP documents __syncthreads.
inline __device__ void __syncthreads()
{
    __builtin_amdgcn_fence(__ATOMIC_RELEASE, "workgroup");
    __builtin_amdgcn_s_barrier();
    __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, "workgroup");
}

inline __device__ int __lane_id()
{
    return __builtin_amdgcn_mbcnt_hi(~0u, __builtin_amdgcn_mbcnt_lo(~0u, 0u));
}

// A value of another lane; lanes count within groups of `width`.
template <typename T>
inline __device__ T __shfl(T value, int lane, int width = 64)
{
    static_assert(sizeof(T) == 4);
    const int self = __lane_id();
    const int from = (lane & (width - 1)) + (self & ~(width - 1));
    return __builtin_bit_cast(
        T, __builtin_amdgcn_ds_bpermute(from << 2, __builtin_bit_cast(int, value)));
}

template <typename T>
inline __device__ T __shfl_down(T value, unsigned int delta, int width = 64)
{
    static_assert(sizeof(T) == 4);
    const int self = __lane_id();
    const int from = (self & (width - 1)) + (int)delta >= width ? self : self + (int)delta;
    return __builtin_bit_cast(
        T, __builtin_amdgcn_ds_bpermute(from << 2, __builtin_bit_cast(int, value)));
}

inline __device__ float expf(float x) { return __builtin_expf(x); }
inline __device__ float exp2f(float x) { return __builtin_exp2f(x); }
inline __device__ bool isnan(float x) { return __builtin_isnan(x); }
template <typename T>
inline __host__ __device__ constexpr T max(T a, T b)
{
    return a < b ? b : a;
}
template <typename T>
inline __host__ __device__ constexpr T min(T a, T b)
{
    return b < a ? b : a;
}

namespace c10 {
struct Half
{
    unsigned short x;
    __device__ operator float() const { return (float)__builtin_bit_cast(_Float16, x); }
};
struct BFloat16
{
    unsigned short x;
    __device__ operator float() const
    {
        return __builtin_bit_cast(float, (unsigned int)x << 16);
    }
};
} // namespace c10

using __half = c10::Half;
using hip_bfloat16 = c10::BFloat16;
