#include "kernels/cuda/operations.h"

namespace mdl::engine
{

const links &available_links()
{
    static const links none = {nullptr, nullptr, nullptr, nullptr};
    return none;
}

} // namespace mdl::engine
