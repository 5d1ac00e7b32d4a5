#pragma once

#include <Python.h>

#include <string>
#include <string_view>
#include <vector>

namespace headroom::native {

/// The parameters of a statement as SQL literals, in the order in which the text uses them: a sequence as it
/// stands, a mapping by the names in `%(name)s` or `:name`. Each is cut at 1,000 bytes; at most 1,000 of
/// them. Leaves no Python error; what can't be shown becomes '?'.
[[nodiscard]] std::vector<std::string> render_parameters(std::string_view text, PyObject* parameters);

}  // namespace headroom::native
