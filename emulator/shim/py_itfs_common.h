// In the place of aiter's header of this name: the map from tensors' types to ck_tile's.
#pragma once
#include "ck_tile/core.hpp"
template <typename T>
struct t2ck;
template <>
struct t2ck<float>
{
    using type = ck_tile::fp32_t;
};
template <>
struct t2ck<c10::Half>
{
    using type = ck_tile::fp16_t;
};
template <>
struct t2ck<c10::BFloat16>
{
    using type = ck_tile::bf16_t;
};
