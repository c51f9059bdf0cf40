// hipCUB's pair of a key and a value.
#pragma once
#include <hip/hip_runtime.h>

namespace hipcub {
template <typename Key, typename Value>
struct KeyValuePair
{
    Key key;
    Value value;
};
} // namespace hipcub
