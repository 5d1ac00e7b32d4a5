#pragma once

// What a running call executes at one moment, and how a process tells another one. The exchange itself is in
// stack_exchange.hpp.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace headroom::perf {

struct StackFrame {
  std::string function;  ///< as profiles name it: "sale.sale:read" for a method of a model
  std::string file;
  std::uint32_t line = 0;

  [[nodiscard]] bool operator==(const StackFrame&) const = default;
};

/// Names and lines alone: no value of a variable.
struct CallStack {
  /// What the frames are those of.
  enum class Origin : std::uint8_t {
    kThread,    ///< the thread of the call
    kGreenlet,  ///< the greenlet of the call, which is switched out: it waits
  };
  Origin origin = Origin::kThread;
  std::uint64_t left_out = 0;      ///< outermost frames for which there was no room
  std::vector<StackFrame> frames;  ///< innermost first

  [[nodiscard]] bool operator==(const CallStack&) const = default;
};

[[nodiscard]] std::string_view name(CallStack::Origin origin);

/// What a process answers: a stack, or why there is none.
using StackAnswer = base::Result<CallStack>;

/// Texts are cut at 1 KiB, and outermost frames are left out, so that the whole takes at most `most` bytes
/// (1 KiB at least).
[[nodiscard]] std::string encode_answer(const StackAnswer& answer, std::size_t most);
/// Errors: protocol for bytes that are no answer; else the error that the answer holds. Threads: pure.
[[nodiscard]] StackAnswer decode_answer(std::string_view bytes);

}  // namespace headroom::perf
