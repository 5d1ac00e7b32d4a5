#pragma once

// What runs now. Each recording process maps one file with a slot for every open call; other processes read
// it while the call runs, and find there what a killed process left unfinished.
//
// A slot is guarded by a sequence number: odd while its owner writes, so a reader copies, compares and tries
// again. The owner is the thread that runs the call; it never waits for a reader. A file belongs to (pid,
// start time of the process); when that process is gone the file is claimed by a rename, so that one sweeper
// alone reports it.

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "perf/record.hpp"
#include "perf/store.hpp"

namespace headroom::perf {

/// What a running call is doing at this moment.
enum class Activity : std::uint8_t { kCode, kSql, kFetch, kConnection, kLock, kCommit };
[[nodiscard]] std::string_view name(Activity activity);

/// A session of the database that a call sent a statement through.
struct Backend {
  std::int32_t process = 0;  ///< of the server's process, as the server numbers it (pg_backend_pid)
  Microseconds age{0};       ///< since the last statement was sent
};

/// A call as its scoreboard slot shows it.
struct RunningCall {
  CallSummary summary;  ///< id, database, session, kind, method, user, start; wall is its age
  std::string host;
  std::int32_t process = 0;
  std::uint64_t thread = 0;
  Activity activity = Activity::kCode;
  Microseconds activity_age{0};
  std::string statement;   ///< the text as sent, before binding, cut at 400 bytes; empty before the first one
  std::string scoreboard;  ///< the file that shows the call
  /// The last ones used, at most four. One that went back to a pool stays until others take its place; of two
  /// calls that name the same, the one that used it last has it.
  std::vector<Backend> backends;
};

/// The slots of this process.
/// Threads: `open` and `close` from any thread; a slot's own functions from the thread that runs the call.
class Scoreboard {
 public:
  static constexpr std::size_t kSlots = 256;

  struct Slot;
  class Handle;

  /// Makes `<folder>/scoreboards/<host>-<pid>-<start>.scoreboard`, mode 0660. Errors: io, denied.
  [[nodiscard]] static base::Result<std::unique_ptr<Scoreboard>> create(const std::string& folder,
                                                                        std::string_view host);
  ~Scoreboard();
  Scoreboard(const Scoreboard&) = delete;
  Scoreboard& operator=(const Scoreboard&) = delete;

  /// A free slot, or nullptr when all are taken (the call then runs unseen).
  [[nodiscard]] Slot* open();
  void close(Slot* slot);
  /// Before the process ends: deletes the file, unless calls still run; those end with the process and are
  /// found by a sweep. The slots stay valid.
  void retire();
  /// Says that the process lives; called a few times a second. A killed call ends at the last heartbeat.
  void beat();
  /// In the child of a fork: forgets the parent's file, which is not mapped there.
  void abandon();

  [[nodiscard]] const std::string& path() const { return path_; }
  /// The number of a slot, below `kSlots`.
  [[nodiscard]] std::size_t index_of(const Slot& slot) const;
  struct Place {
    std::size_t slot = 0;
    std::uint64_t thread = 0;
  };
  /// Where the call with that id runs, if it does. Threads: any. Cost: O(slots).
  [[nodiscard]] std::optional<Place> find(std::string_view id) const;

 private:
  Scoreboard(std::string path, void* memory);

  std::string path_;
  Slot* slots_ = nullptr;
  std::atomic<std::uint32_t> next_{0};
};

/// Writes into a slot. All texts are cut to the room there is.
void publish(Scoreboard::Slot& slot, const CallSummary& call, std::uint64_t thread);
void publish_activity(Scoreboard::Slot& slot, Activity activity, std::int64_t monotonic_ns);
/// `backend`: the server's process for the connection; 0 where there is none or it is not known.
void publish_statement(Scoreboard::Slot& slot, std::string_view text, std::int64_t monotonic_ns,
                       std::int32_t backend = 0);

/// The calls that run now, over all live processes of this host; oldest first. Unreadable files are left out.
[[nodiscard]] std::vector<RunningCall> running_calls(const std::string& folder);

/// Claims the files of processes that are gone and stores their running calls as `killed`; a file is deleted
/// once its calls are stored, so that a store that is away loses nothing. Returns the number of calls stored.
[[nodiscard]] base::Result<std::size_t> sweep_scoreboards(const std::string& folder, Store& store);

}  // namespace headroom::perf
