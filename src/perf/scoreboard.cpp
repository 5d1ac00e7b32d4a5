#include "perf/scoreboard.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <type_traits>

#include <fmt/format.h>

#include "perf/stack_exchange.hpp"

namespace headroom::perf {

namespace {

constexpr std::uint64_t kMagic = 0x33305f7362'726468ULL;  // "hdrbs_03"
constexpr std::string_view kSuffix = ".scoreboard";

template <std::size_t N>
struct Text {
  std::uint16_t size = 0;
  std::array<char, N> bytes{};

  void set(std::string_view text) {
    size = static_cast<std::uint16_t>(std::min(text.size(), N));
    std::memcpy(bytes.data(), text.data(), size);
  }
  [[nodiscard]] std::string get() const { return {bytes.data(), std::min<std::size_t>(size, N)}; }
};

struct BackendUse {
  std::int32_t process = 0;
  std::int64_t used_ns = 0;
};

struct SlotData {
  std::uint8_t used = 0;
  CallKind kind = CallKind::kRpc;
  Activity activity = Activity::kCode;
  std::uint8_t has_user_id = 0;
  std::int64_t user_id = 0;
  std::int64_t start_us = 0;
  std::int64_t start_ns = 0;
  std::int64_t activity_ns = 0;
  std::uint64_t thread = 0;
  std::array<BackendUse, 4> backends{};
  Text<62> id;
  Text<62> database;
  Text<30> session;
  Text<62> user;
  Text<126> method;
  Text<400> statement;
};

struct Header {
  std::uint64_t magic = kMagic;
  std::int64_t process = 0;
  std::uint64_t process_start = 0;
  std::uint64_t boot = 0;           ///< of the kernel: monotonic times compare within one
  std::uint64_t process_space = 0;  ///< PID namespace: process ids mean something within one
  std::atomic<std::int64_t> heartbeat_ns{0};
  Text<62> host;
};

/// Field 22 of /proc/<pid>/stat: when the process began, in ticks since boot; 0 when no such process runs.
/// One that has died but that its parent has not waited for (state Z, then X) still has its entry there.
std::uint64_t process_start(std::int64_t pid) {
  std::ifstream stream(fmt::format("/proc/{}/stat", pid));
  std::string line;
  if (!std::getline(stream, line)) return 0;
  std::size_t at = line.rfind(')');
  if (at == std::string::npos || at + 2 >= line.size()) return 0;
  if (line[at + 2] == 'Z' || line[at + 2] == 'X') return 0;
  for (int field = 2; field < 22 && at != std::string::npos; ++field) at = line.find(' ', at + 1);
  if (at == std::string::npos) return 0;
  std::uint64_t ticks = 0;
  std::from_chars(line.data() + at + 1, line.data() + line.size(), ticks);
  return ticks;
}

std::string folder_of(const std::string& state) {
  return state + "/scoreboards";
}

}  // namespace

struct alignas(64) Scoreboard::Slot {
  std::atomic<std::uint32_t> taken{0};
  std::atomic<std::uint32_t> sequence{0};
  SlotData data;
};

namespace {

struct File {
  Header header;
  std::array<Scoreboard::Slot, Scoreboard::kSlots> slots;
};

/// Brackets a write of the slot's owner.
template <typename Write>
void write_slot(Scoreboard::Slot& slot, const Write& write) {
  const auto before = slot.sequence.load(std::memory_order_relaxed);
  slot.sequence.store(before + 1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  write(slot.data);
  slot.sequence.store(before + 2, std::memory_order_release);
}

/// A consistent copy, or nullopt when the slot is free or its owner is gone in the middle of a write.
std::optional<SlotData> read_slot(const Scoreboard::Slot& slot) {
  for (int attempt = 0; attempt < 100; ++attempt) {
    const auto before = slot.sequence.load(std::memory_order_acquire);
    SlotData copy;
    std::memcpy(&copy, &slot.data, sizeof copy);
    std::atomic_thread_fence(std::memory_order_acquire);
    const bool torn = before % 2 != 0 || slot.sequence.load(std::memory_order_relaxed) != before;
    if (torn && attempt < 99) continue;
    if (copy.used == 0) return std::nullopt;
    return copy;
  }
  return std::nullopt;
}

/// A mapped scoreboard file, read only.
class Mapped {
 public:
  static std::optional<Mapped> open(const std::string& path) {
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (descriptor < 0) return std::nullopt;
    struct stat status {};
    const bool whole =
        fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode) && status.st_size == sizeof(File);
    void* const memory =
        whole ? mmap(nullptr, sizeof(File), PROT_READ, MAP_SHARED, descriptor, 0) : MAP_FAILED;
    ::close(descriptor);
    if (memory == MAP_FAILED) return std::nullopt;
    Mapped mapped(static_cast<const File*>(memory));
    if (mapped->header.magic != kMagic) return std::nullopt;
    return mapped;
  }
  explicit Mapped(const File* file) : file_(file) {}
  Mapped(Mapped&& other) noexcept : file_(std::exchange(other.file_, nullptr)) {}
  Mapped& operator=(Mapped&&) = delete;
  ~Mapped() {
    if (file_ != nullptr) munmap(const_cast<File*>(file_), sizeof(File));
  }
  const File* operator->() const { return file_; }
  const File& operator*() const { return *file_; }

 private:
  const File* file_;
};

std::vector<std::string> scoreboard_files(const std::string& state) {
  std::vector<std::string> paths;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder_of(state), error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->path().string().find(kSuffix) != std::string::npos) paths.push_back(entry->path().string());
  }
  return paths;
}

/// A number that is another one after each boot of the machine.
std::uint64_t boot_id() {
  std::ifstream stream("/proc/sys/kernel/random/boot_id");
  std::string text;
  std::getline(stream, text);
  return std::hash<std::string>()(text);
}

std::uint64_t own_process_space() {
  struct stat status {};
  return stat("/proc/self/ns/pid", &status) == 0 ? status.st_ino : 0;
}

enum class Life : std::uint8_t { kAlive, kDead, kUnknown };

/// Process ids are only asked for in their own namespace: a state folder may be shared by containers. There
/// the heartbeat tells, which every recorder writes several times a second. On another machine nothing can be
/// told.
Life life_of(const File& file) {
  constexpr std::int64_t kLongestSilence = 60'000'000'000;
  static const std::uint64_t boot = boot_id();
  static const std::uint64_t process_space = own_process_space();
  const Header& header = file.header;
  if (header.boot != boot) {
    std::array<char, 65> host{};
    gethostname(host.data(), host.size() - 1);
    return header.host.get() == host.data() ? Life::kDead : Life::kUnknown;
  }
  if (header.process_space == process_space) {
    return process_start(header.process) == header.process_start ? Life::kAlive : Life::kDead;
  }
  return base::monotonic_ns() - header.heartbeat_ns < kLongestSilence ? Life::kAlive : Life::kDead;
}

/// Takes the place of the one that was not used for the longest time.
void use_backend(SlotData& data, std::int32_t process, std::int64_t now_ns) {
  BackendUse* place = data.backends.data();
  for (BackendUse& use : data.backends) {
    if (use.process == process) {
      place = &use;
      break;
    }
    if (use.used_ns < place->used_ns) place = &use;
  }
  *place = {process, now_ns};
}

std::vector<Backend> to_backends(const SlotData& data, std::int64_t now_ns) {
  std::vector<Backend> backends;
  for (const BackendUse& use : data.backends) {
    if (use.process == 0) continue;
    backends.push_back({use.process, Microseconds{std::max<std::int64_t>(0, (now_ns - use.used_ns) / 1000)}});
  }
  return backends;
}

RunningCall to_running(const File& file, const SlotData& data, std::int64_t now_ns) {
  RunningCall call;
  call.summary.id = data.id.get();
  call.summary.database = data.database.get();
  call.summary.session = data.session.get();
  call.summary.kind = data.kind <= CallKind::kStatic ? data.kind : CallKind::kRpc;
  call.summary.method = data.method.get();
  call.summary.user = data.user.get();
  if (data.has_user_id != 0) call.summary.user_id = data.user_id;
  call.summary.start = UtcTime{Microseconds{data.start_us}};
  call.summary.wall = Microseconds{std::max<std::int64_t>(0, (now_ns - data.start_ns) / 1000)};
  call.host = file.header.host.get();
  call.process = static_cast<std::int32_t>(file.header.process);
  call.thread = data.thread;
  call.activity = data.activity <= Activity::kCommit ? data.activity : Activity::kCode;
  call.activity_age = Microseconds{std::max<std::int64_t>(0, (now_ns - data.activity_ns) / 1000)};
  call.statement = data.statement.get();
  call.backends = to_backends(data, now_ns);
  return call;
}

/// `now` is the time up to which the calls ran: for a dead process, its last heartbeat.
std::vector<RunningCall> calls_in(const File& file, std::int64_t now) {
  std::vector<RunningCall> calls;
  for (const auto& slot : file.slots) {
    if (slot.taken.load(std::memory_order_acquire) == 0) continue;
    if (const auto data = read_slot(slot)) calls.push_back(to_running(file, *data, now));
  }
  return calls;
}

CallRecord killed(const RunningCall& running) {
  CallRecord record;
  record.summary = running.summary;
  record.summary.status = CallStatus::kKilled;
  if (record.summary.session.empty()) record.summary.session = "killed";
  record.host = running.host;
  record.process = running.process;
  record.thread = running.thread;
  record.error = fmt::format("the process died while the call was in {}", name(running.activity));
  return record;
}

/// Its line in the store goes with it. It beat several times a second and told of itself soon after a beat,
/// so that what was told later is of another process with its number.
ProcessInfo farewell(const File& file) {
  const auto now = base::utc_now();
  const base::Nanoseconds silent{base::monotonic_ns() - file.header.heartbeat_ns};
  ProcessInfo process;
  process.host = file.header.host.get();
  process.process = static_cast<std::int32_t>(file.header.process);
  process.seen =
      std::min(now, now - std::chrono::duration_cast<Microseconds>(silent) + std::chrono::seconds(5));
  process.ended = true;
  return process;
}

/// Renames the file of a dead process, so that this process alone reports it. Empty when another was faster.
std::string claim(const std::string& path) {
  const std::string marker = fmt::format(".claimed-{}", getpid());
  if (path.ends_with(marker)) return path;
  const std::size_t base = path.find(kSuffix) + kSuffix.size();
  const std::string claimed = path.substr(0, base) + marker;
  return std::rename(path.c_str(), claimed.c_str()) == 0 ? claimed : std::string();
}

}  // namespace

std::string_view name(Activity activity) {
  switch (activity) {
    case Activity::kCode:
      return "code";
    case Activity::kSql:
      return "sql";
    case Activity::kFetch:
      return "fetch";
    case Activity::kConnection:
      return "connection";
    case Activity::kLock:
      return "lock";
    case Activity::kCommit:
      return "commit";
  }
  return "code";
}

base::Result<std::unique_ptr<Scoreboard>> Scoreboard::create(const std::string& folder,
                                                             std::string_view host) {
  std::error_code ignored;
  if (std::filesystem::create_directories(folder_of(folder), ignored)) {
    // Setgid, so that files get the group of the state folder whoever makes them.
    ::chmod(folder_of(folder).c_str(), 02770);
  }
  const auto start = process_start(getpid());
  const std::string path = fmt::format("{}/{}-{}-{}{}", folder_of(folder), host, getpid(), start, kSuffix);
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0660);
  if (descriptor < 0) {
    const auto code = errno == EACCES ? base::ErrorCode::kDenied : base::ErrorCode::kIo;
    return base::fail(code, fmt::format("cannot make {}: {}", path, std::strerror(errno)));
  }
  ::fchmod(descriptor, 0660);
  // posix_fallocate, not ftruncate: a full disk must be an error here, not a SIGBUS at the first write.
  const int full = posix_fallocate(descriptor, 0, sizeof(File));
  void* const memory =
      full != 0 ? MAP_FAILED : mmap(nullptr, sizeof(File), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  ::close(descriptor);
  if (memory == MAP_FAILED) {
    ::unlink(path.c_str());
    return base::fail(base::ErrorCode::kIo,
                      fmt::format("cannot map {}: {}", path, std::strerror(full != 0 ? full : errno)));
  }
  madvise(memory, sizeof(File), MADV_DONTFORK);
  auto* const file = new (memory) File;
  file->header.process = getpid();
  file->header.process_start = start;
  file->header.boot = boot_id();
  file->header.process_space = own_process_space();
  file->header.host.set(host);
  file->header.heartbeat_ns = base::monotonic_ns();
  return std::unique_ptr<Scoreboard>(new Scoreboard(path, memory));
}

Scoreboard::Scoreboard(std::string path, void* memory)
    : path_(std::move(path)), slots_(static_cast<File*>(memory)->slots.data()) {}

Scoreboard::~Scoreboard() {
  if (slots_ == nullptr) return;
  retire();
  munmap(reinterpret_cast<char*>(slots_) - offsetof(File, slots), sizeof(File));
}

void Scoreboard::retire() {
  if (slots_ == nullptr) return;
  for (std::size_t i = 0; i < kSlots; ++i) {
    if (slots_[i].taken.load(std::memory_order_acquire) != 0) return;
  }
  ::unlink(path_.c_str());
}

void Scoreboard::abandon() {
  slots_ = nullptr;
}

void Scoreboard::beat() {
  if (slots_ == nullptr) return;
  auto* const file = reinterpret_cast<File*>(reinterpret_cast<char*>(slots_) - offsetof(File, slots));
  file->header.heartbeat_ns = base::monotonic_ns();
}

std::size_t Scoreboard::index_of(const Slot& slot) const {
  return static_cast<std::size_t>(&slot - slots_);
}

std::optional<Scoreboard::Place> Scoreboard::find(std::string_view id) const {
  if (slots_ == nullptr) return std::nullopt;
  for (std::size_t i = 0; i < kSlots; ++i) {
    if (slots_[i].taken.load(std::memory_order_acquire) == 0) continue;
    const auto data = read_slot(slots_[i]);
    if (data && data->id.get() == id) return Place{i, data->thread};
  }
  return std::nullopt;
}

Scoreboard::Slot* Scoreboard::open() {
  if (slots_ == nullptr) return nullptr;
  const auto first = next_.fetch_add(1, std::memory_order_relaxed);
  for (std::uint32_t i = 0; i < kSlots; ++i) {
    Slot& slot = slots_[(first + i) % kSlots];
    std::uint32_t free = 0;
    if (slot.taken.compare_exchange_strong(free, 1, std::memory_order_acquire)) return &slot;
  }
  return nullptr;
}

void Scoreboard::close(Slot* slot) {
  if (slot == nullptr || slots_ == nullptr) return;
  write_slot(*slot, [](SlotData& data) { data.used = 0; });
  slot->taken.store(0, std::memory_order_release);
}

void publish(Scoreboard::Slot& slot, const CallSummary& call, std::uint64_t thread) {
  const auto now_us = base::utc_now();
  const auto now_ns = base::monotonic_ns();
  write_slot(slot, [&](SlotData& data) {
    const bool fresh = data.used == 0;
    data.used = 1;
    data.kind = call.kind;
    data.has_user_id = call.user_id ? 1 : 0;
    data.user_id = call.user_id.value_or(0);
    data.start_us = call.start.time_since_epoch().count();
    data.start_ns = now_ns - (now_us - call.start).count() * 1000;
    data.thread = thread;
    data.id.set(call.id);
    data.database.set(call.database);
    data.session.set(call.session);
    data.user.set(call.user);
    data.method.set(call.method);
    if (!fresh) return;
    data.activity = Activity::kCode;
    data.activity_ns = now_ns;
    data.statement.size = 0;
    data.backends = {};
  });
}

void publish_activity(Scoreboard::Slot& slot, Activity activity, std::int64_t monotonic_ns) {
  write_slot(slot, [&](SlotData& data) {
    data.activity = activity;
    data.activity_ns = monotonic_ns;
  });
}

void publish_statement(Scoreboard::Slot& slot, std::string_view text, std::int64_t monotonic_ns,
                       std::int32_t backend) {
  write_slot(slot, [&](SlotData& data) {
    data.activity = Activity::kSql;
    data.activity_ns = monotonic_ns;
    data.statement.set(text);
    if (backend != 0) use_backend(data, backend, monotonic_ns);
  });
}

std::vector<RunningCall> running_calls(const std::string& folder) {
  std::vector<RunningCall> calls;
  for (const auto& path : scoreboard_files(folder)) {
    const auto file = Mapped::open(path);
    if (!file || life_of(**file) != Life::kAlive) continue;
    for (RunningCall& call : calls_in(**file, base::monotonic_ns())) {
      call.scoreboard = path;
      calls.push_back(std::move(call));
    }
  }
  std::ranges::sort(calls, {}, [](const RunningCall& call) { return call.summary.start; });
  return calls;
}

base::Result<std::size_t> sweep_scoreboards(const std::string& folder, Store& store) {
  std::size_t stored = 0;
  for (const auto& path : scoreboard_files(folder)) {
    Batch batch;
    {
      const auto file = Mapped::open(path);
      if (!file || life_of(**file) != Life::kDead) continue;
      for (const auto& running : calls_in(**file, (*file)->header.heartbeat_ns))
        batch.calls.push_back(killed(running));
      batch.process = farewell(**file);
    }
    const std::string claimed = claim(path);
    if (claimed.empty()) continue;
    remove_stack_files(claimed);
    if (const auto written = store.append(batch); !written) return base::fail(written.error());
    stored += batch.calls.size();
    ::unlink(claimed.c_str());
  }
  return stored;
}

}  // namespace headroom::perf
