#pragma once

// What a call of this process executes, read by a thread that never takes the GIL: the call may hold it.
//
// The stack is that of the thread whose number the scoreboard shows, found in the interpreter's list of
// threads. Under gevent the calls of a thread are greenlets, of which one runs: the greenlet of each slot is
// noted when its call begins, and one that is switched out has its innermost frame in a field of its own.
// That field lies elsewhere in each release of greenlet: it is found once, as the place where a greenlet that
// is known to be switched out holds the frame that it says it has.
//
// Everything is read as stack_reader.hpp says; a thread, a greenlet or a frame that goes away meanwhile is an
// answer. Each stack is read by a reader of its own, so that nothing is kept between them, and nothing has to
// be looked after when the process forks.

#include <Python.h>

#include <cstddef>

#include "perf/stack_exchange.hpp"

namespace headroom::native {

/// Notes the interpreter of the calling thread, whose threads are looked at. Without it there are no stacks.
/// Threads: GIL.
void allow_call_stacks();

/// Notes that the call of this slot belongs to the greenlet that runs now. Costs nothing where threads are
/// threads, since it is not called there.
/// Threads: GIL. Cost: about 0.1 us.
void note_greenlet(std::size_t slot);

/// Errors: unsupported, with the reason, where frames can't be read; not_found when the thread has gone;
/// unavailable when the stack changed whenever it was looked at.
/// Threads: any, without the GIL. Cost: some 0.1 ms.
[[nodiscard]] perf::StackAnswer take_call_stack(const perf::StackTarget& target);

}  // namespace headroom::native
