// ck_tile's names: compile-time numbers, small vectors, conversions.
#pragma once
#include <hip/hip_runtime.h>

namespace ck_tile {
template <auto v>
struct constant
{
    static constexpr auto value = v;
    using value_type = decltype(v);
    __host__ __device__ constexpr operator value_type() const { return v; }
};
template <int v>
using number = constant<v>;
template <bool v>
using bool_constant = constant<v>;

using index_t = int;
using int8_t = signed char;
using fp32_t = float;
using fp16_t = _Float16;
using bf16_t = unsigned short; // its bits

template <typename T, int n>
using ext_vector_t = T __attribute__((ext_vector_type(n)));

template <typename V>
struct vector_traits;
template <typename T, int n>
struct vector_traits<T __attribute__((ext_vector_type(n)))>
{
    using scalar_type = T;
    static constexpr int vector_size = n;
};

template <typename To, typename From>
inline __device__ To type_convert(From value)
{
    if constexpr(__is_same(From, bf16_t) && __is_same(To, float))
        return __builtin_bit_cast(float, (unsigned int)value << 16);
    else
        return static_cast<To>(value);
}

template <typename T>
using remove_cvref_t = __remove_cvref(T);

inline __host__ __device__ constexpr int get_warp_size() { return 64; }

template <int begin, int end, int step>
struct static_for
{
    template <typename F>
    __device__ constexpr void operator()(F f) const
    {
        if constexpr(begin < end)
        {
            f(number<begin>{});
            static_for<begin + step, end, step>{}(f);
        }
    }
};

template <typename A, typename B>
struct pair_tuple
{
    A first;
    B second;
};
template <typename A, typename B>
__device__ pair_tuple<A, B> make_tuple(A first, B second)
{
    return {first, second};
}
} // namespace ck_tile
