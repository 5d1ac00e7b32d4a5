#pragma once

// JSON where it lies (wire/json.hpp), by the names that the protocol's functions use.

#include "wire/json.hpp"

namespace headroom::bus {

using wire::compact;
using wire::json_bool;
using wire::json_integer;
using wire::json_string;
using wire::JsonPart;
using wire::JsonParts;
using wire::quoted;
using wire::read_list;
using wire::read_object;
using wire::why_wrong;

}  // namespace headroom::bus
