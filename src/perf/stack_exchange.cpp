#include "perf/stack_exchange.hpp"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <exception>
#include <random>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <xxhash.h>

namespace headroom::perf {

namespace {

using base::ErrorCode;
using base::fail;
using base::Result;

// More than are written while one asker waits, so that none is lost to another one.
constexpr std::size_t kPlaces = 64;
static_assert(kPlaces > StackAnswers::kPerSecond / 2 * (1 + kStackPatience / std::chrono::seconds{1}));
constexpr std::size_t kPlace = 64U << 10;
constexpr std::size_t kLongestId = 62;
constexpr std::int64_t kLongestWait = 10'000'000'000;  // of a request that is believed
constexpr std::uint64_t kRequestMagic = 0x3130'7473'6b72'6468ULL;
constexpr std::uint64_t kAnswerMagic = 0x3130'7361'6b72'6468ULL;

struct RequestBytes {
  std::uint64_t magic = kRequestMagic;
  std::uint64_t number = 0;
  std::int64_t deadline_ns = 0;
  std::uint16_t size = 0;
  std::array<char, kLongestId> call{};
  std::uint64_t check = 0;
};
static_assert(sizeof(RequestBytes) == 96 && sizeof(RequestBytes) <= PIPE_BUF);

struct AnswerHead {
  std::uint64_t magic = kAnswerMagic;
  std::uint64_t number = 0;
  std::uint64_t size = 0;
  std::uint64_t check = 0;  ///< of what follows
};
constexpr std::size_t kLargestAnswer = kPlace - sizeof(AnswerHead);

std::uint64_t check_of(const RequestBytes& request) {
  return XXH3_64bits(&request, offsetof(RequestBytes, check));
}

std::string without_suffix(const std::string& scoreboard) {
  return scoreboard.substr(0, scoreboard.rfind(".scoreboard"));
}
std::string requests_path(const std::string& scoreboard) {
  return without_suffix(scoreboard) + ".stack-requests";
}
std::string answers_path(const std::string& scoreboard) {
  return without_suffix(scoreboard) + ".stack-answers";
}

/// Owns a file descriptor.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() { close(); }
  [[nodiscard]] int get() const { return number_; }
  [[nodiscard]] bool is_open() const { return number_ >= 0; }
  void close() {
    if (number_ >= 0) ::close(std::exchange(number_, -1));
  }

 private:
  int number_ = -1;
};

bool is_of_kind(const Descriptor& file, mode_t kind) {
  struct stat status {};
  return fstat(file.get(), &status) == 0 && (status.st_mode & S_IFMT) == kind;
}

bool is_own(const Descriptor& file, mode_t kind) {
  struct stat status {};
  return fstat(file.get(), &status) == 0 && (status.st_mode & S_IFMT) == kind && status.st_uid == geteuid();
}

tl::unexpected<base::Error> file_error(std::string_view what, const std::string& path, int number) {
  const auto code = number == EACCES || number == EPERM ? ErrorCode::kDenied : ErrorCode::kIo;
  return fail(code, fmt::format("cannot {} {}: {}", what, path, std::strerror(number)));
}

void sleep_for(std::int64_t duration_ns) {
  const timespec span{duration_ns / 1'000'000'000, duration_ns % 1'000'000'000};
  nanosleep(&span, nullptr);
}

}  // namespace

std::int64_t Allowance::take(std::int64_t now_ns) {
  // What was taken is spent one step after the other; more than `most_` steps are never open.
  const std::int64_t from = std::max(spent_until_ns_, now_ns);
  const std::int64_t ahead = from + step_ns_ - now_ns - most_ * step_ns_;
  if (ahead > 0) return ahead;
  spent_until_ns_ = from + step_ns_;
  return 0;
}

std::string encode_request(const StackRequest& request) {
  RequestBytes bytes;
  bytes.number = request.number;
  bytes.deadline_ns = request.deadline_ns;
  bytes.size = static_cast<std::uint16_t>(std::min(request.call.size(), kLongestId));
  std::memcpy(bytes.call.data(), request.call.data(), bytes.size);
  bytes.check = check_of(bytes);
  return {reinterpret_cast<const char*>(&bytes), sizeof bytes};
}

std::vector<StackRequest> take_requests(std::string& bytes) {
  std::string_view magic{reinterpret_cast<const char*>(&kRequestMagic), sizeof kRequestMagic};
  std::vector<StackRequest> requests;
  std::size_t from = 0;
  std::size_t at = 0;
  while ((at = bytes.find(magic, from)) != std::string::npos && bytes.size() - at >= sizeof(RequestBytes)) {
    RequestBytes found;
    std::memcpy(&found, &bytes[at], sizeof found);
    const bool good = found.check == check_of(found) && found.size <= kLongestId;
    from = at + (good ? sizeof found : 1);
    if (good) requests.push_back({found.number, found.deadline_ns, {found.call.data(), found.size}});
  }
  const std::size_t rest =
      at != std::string::npos ? at : std::max(from, bytes.size() - std::min(bytes.size(), magic.size() - 1));
  bytes.erase(0, rest);
  return requests;
}

struct StackAnswers::Files {
  std::string scoreboard;
  Descriptor requests;
  Descriptor answers;
  Descriptor stop;

  static Result<std::unique_ptr<Files>> make(const std::string& scoreboard) {
    auto files = std::make_unique<Files>();
    files->scoreboard = scoreboard;
    auto made = files->make_requests();
    if (made) made = files->make_answers();
    if (!made) {
      remove_stack_files(scoreboard);
      return fail(std::move(made.error()));
    }
    files->stop = Descriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!files->stop.is_open()) return fail(ErrorCode::kUnavailable, "no descriptor for telling stacks");
    return files;
  }

  /// Open for writing too, so that the end of those who ask is no end of the pipe.
  Result<void> make_requests() {
    const std::string path = requests_path(scoreboard);
    ::unlink(path.c_str());
    if (::mkfifo(path.c_str(), 0660) != 0) return file_error("make", path, errno);
    requests = Descriptor(::open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW));
    if (!requests.is_open()) return file_error("open", path, errno);
    if (!is_own(requests, S_IFIFO)) return file_error("make", path, EEXIST);
    ::fchmod(requests.get(), 0660);
    return {};
  }

  Result<void> make_answers() {
    const std::string path = answers_path(scoreboard);
    ::unlink(path.c_str());
    answers = Descriptor(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0660));
    if (!answers.is_open()) return file_error("make", path, errno);
    ::fchmod(answers.get(), 0660);
    return {};
  }
};

Result<std::unique_ptr<StackAnswers>> StackAnswers::start(Scoreboard& scoreboard, TakeStack take_stack) {
  auto files = Files::make(scoreboard.path());
  if (!files) return fail(std::move(files.error()));
  std::unique_ptr<StackAnswers> made(new StackAnswers(scoreboard, std::move(take_stack), std::move(*files)));
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  // signals belong to the application's threads
  try {
    made->thread_ = std::thread([own = made.get()] { own->run(); });
  } catch (const std::system_error&) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return fail(ErrorCode::kUnavailable, "no thread for telling stacks");
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return made;
}

StackAnswers::StackAnswers(Scoreboard& scoreboard, TakeStack take_stack, std::unique_ptr<Files> files)
    : scoreboard_(scoreboard), take_stack_(std::move(take_stack)), files_(std::move(files)) {}

StackAnswers::~StackAnswers() {
  stop();
}

void StackAnswers::stop() {
  if (thread_.joinable()) {
    eventfd_write(files_->stop.get(), 1);
    thread_.join();
  }
  remove_stack_files(files_->scoreboard);
}

void StackAnswers::abandon() {
  files_->requests.close();
  files_->answers.close();
  files_->stop.close();
}

/// False when the thread is to end.
bool StackAnswers::pause_for(std::int64_t duration_ns) const {
  pollfd stop{files_->stop.get(), POLLIN, 0};
  return ::poll(&stop, 1, static_cast<int>(duration_ns / 1'000'000 + 1)) == 0;
}

bool StackAnswers::spend(Allowance& allowance) const {
  while (const std::int64_t wait_ns = allowance.take(base::monotonic_ns())) {
    if (!pause_for(wait_ns)) return false;
  }
  return true;
}

void StackAnswers::run() {
  pthread_setname_np(pthread_self(), "headroom-stack");
  constexpr std::size_t kRead = 4096;
  Allowance allowance(kPerSecond);
  std::string bytes;
  std::array<pollfd, 2> waiting{{{files_->requests.get(), POLLIN, 0}, {files_->stop.get(), POLLIN, 0}}};
  for (;;) {
    if (::poll(waiting.data(), waiting.size(), -1) < 0) continue;  // stopped, and going on
    if (waiting[1].revents != 0 || !spend(allowance)) return;
    const std::size_t before = bytes.size();
    bytes.resize(before + kRead);
    const ssize_t size = ::read(files_->requests.get(), &bytes[before], kRead);
    bytes.resize(before + static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
    if (!answer(take_requests(bytes), allowance)) return;
  }
}

bool StackAnswers::answer(const std::vector<StackRequest>& requests, Allowance& allowance) {
  for (const StackRequest& request : requests) {
    const std::int64_t left = request.deadline_ns - base::monotonic_ns();
    if (left <= 0 || left > kLongestWait) continue;
    if (!spend(allowance)) return false;
    write(request.number, stack_of(request.call));
  }
  return true;
}

/// A call that ends while it is looked at may leave its slot and its thread to another one.
StackAnswer StackAnswers::stack_of(const std::string& call) const {
  const auto ended = [&] { return fail(ErrorCode::kNotFound, fmt::format("the call {} has ended", call)); };
  const auto place = scoreboard_.find(call);
  if (!place) return ended();
  try {
    StackAnswer stack = take_stack_({place->slot, place->thread});
    if (!scoreboard_.find(call)) return ended();
    return stack;
  } catch (const std::exception& error) {
    return fail(ErrorCode::kInternal, error.what());
  }
}

/// A disk that is full leaves the asker without an answer.
void StackAnswers::write(std::uint64_t number, const StackAnswer& answer) {
  const std::string body = encode_answer(answer, kLargestAnswer);
  AnswerHead head;
  head.number = number;
  head.size = body.size();
  head.check = XXH3_64bits(body.data(), body.size());
  const std::string bytes = std::string(reinterpret_cast<const char*>(&head), sizeof head) + body;
  const auto offset = static_cast<off_t>(next_place_ * kPlace);
  next_place_ = (next_place_ + 1) % kPlaces;
  [[maybe_unused]] const ssize_t written =
      ::pwrite(files_->answers.get(), bytes.data(), bytes.size(), offset);
}

namespace {

tl::unexpected<base::Error> request_error(const RunningCall& call, int number) {
  const std::string path = requests_path(call.scoreboard);
  switch (number) {
    case ENXIO:
    case EPIPE:
      return fail(ErrorCode::kUnavailable,
                  fmt::format("process {} on {} is gone, or stops now", call.process, call.host));
    case ENOENT:
      return fail(ErrorCode::kUnsupported,
                  fmt::format("process {} on {} tells no stacks: its Headroom is older than this one, or "
                              "`headroom status` says what is wrong",
                              call.process, call.host));
    case EAGAIN:
      return fail(ErrorCode::kOverloaded,
                  fmt::format("too many ask process {} for stacks; try again", call.process));
    case EACCES:
    case EPERM:
      return fail(ErrorCode::kDenied,
                  fmt::format("cannot ask process {}: no right to write {}; members of the state folder's "
                              "group have it",
                              call.process, path));
    case ELOOP:
    case EEXIST:
      return fail(ErrorCode::kProtocol, fmt::format("{} is no pipe of Headroom", path));
    default:
      return fail(ErrorCode::kIo, fmt::format("cannot write {}: {}", path, std::strerror(number)));
  }
}

Result<void> send(const RunningCall& call, const StackRequest& request) {
  const std::string path = requests_path(call.scoreboard);
  const Descriptor pipe(::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW));
  if (!pipe.is_open()) return request_error(call, errno);
  if (!is_of_kind(pipe, S_IFIFO)) return request_error(call, EEXIST);
  const std::string bytes = encode_request(request);
  if (::write(pipe.get(), bytes.data(), bytes.size()) < 0) return request_error(call, errno);
  return {};
}

/// The body at one place, when that is the answer to the request, and whole.
std::optional<std::string> read_place(const Descriptor& file, std::size_t place, std::uint64_t number) {
  AnswerHead head;
  const auto offset = static_cast<off_t>(place * kPlace);
  if (::pread(file.get(), &head, sizeof head, offset) != sizeof head) return std::nullopt;
  if (head.magic != kAnswerMagic || head.number != number || head.size > kLargestAnswer) return std::nullopt;
  std::string body(head.size, '\0');
  const ssize_t size =
      ::pread(file.get(), body.data(), body.size(), offset + static_cast<off_t>(sizeof head));
  if (size < 0 || static_cast<std::size_t>(size) != body.size()) return std::nullopt;
  if (XXH3_64bits(body.data(), body.size()) != head.check) return std::nullopt;
  return body;
}

std::optional<std::string> read_answer(const Descriptor& file, std::uint64_t number) {
  for (std::size_t place = 0; place < kPlaces; ++place) {
    if (auto body = read_place(file, place, number)) return body;
  }
  return std::nullopt;
}

std::uint64_t random_number() {
  std::random_device random;
  return (std::uint64_t{random()} << 32U) ^ random();
}

}  // namespace

StackAnswer ask_for_stack(const RunningCall& call, base::Microseconds patience) {
  const std::int64_t end_ns =
      base::monotonic_ns() + std::min(base::Nanoseconds(patience).count(), kLongestWait);
  // First the answers, since the pipe is made before them.
  const std::string path = answers_path(call.scoreboard);
  const Descriptor answers(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW));
  if (!answers.is_open()) return request_error(call, errno);
  if (!is_of_kind(answers, S_IFREG)) return fail(ErrorCode::kProtocol, fmt::format("{} is no file", path));
  const std::uint64_t number = random_number();
  if (auto sent = send(call, {number, end_ns, call.summary.id}); !sent) return fail(std::move(sent.error()));
  constexpr std::int64_t kFirstPause = 500'000;
  constexpr std::int64_t kLongestPause = 20'000'000;
  for (std::int64_t pause_ns = kFirstPause; base::monotonic_ns() < end_ns;
       pause_ns = std::min(2 * pause_ns, kLongestPause)) {
    sleep_for(pause_ns);
    if (const auto body = read_answer(answers, number)) return decode_answer(*body);
  }
  return fail(
      ErrorCode::kTimedOut,
      fmt::format("process {} on {} did not answer within {} s: it is stopped, or others ask too much",
                  call.process, call.host, base::format_seconds(patience)));
}

void remove_stack_files(const std::string& scoreboard) {
  ::unlink(requests_path(scoreboard).c_str());
  ::unlink(answers_path(scoreboard).c_str());
}

}  // namespace headroom::perf
