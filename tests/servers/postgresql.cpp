#include "tests/servers/postgresql.hpp"

#include <fcntl.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "tests/servers/redis.hpp"

namespace headroom::testing {

namespace {

const std::filesystem::path kBinaries = "/usr/lib/postgresql/15/bin";

std::filesystem::path make_folder() {
  std::string name = (std::filesystem::temp_directory_path() / "headroom-test-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::system_error(errno, std::generic_category(), "mkdtemp");
  return name;
}

std::string contents(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// In a session of its own, so that the postmaster and its processes are one group.
pid_t spawn(std::vector<std::string> arguments, const std::string& log) {
  const pid_t process = ::fork();
  if (process < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (process > 0) return process;
  ::setsid();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int output = ::open(log.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  std::vector<char*> pointers;
  for (auto& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  ::execvp(pointers.front(), pointers.data());
  ::_exit(127);
}

}  // namespace

PostgresServer::PostgresServer(const std::vector<std::string>& settings)
    : folder_(make_folder()), port_(free_port()) {
  std::filesystem::permissions(folder_, std::filesystem::perms{0755});
  if (::getuid() == 0) {
    const passwd* user = ::getpwnam("postgres");
    if (user == nullptr || ::chown(folder_.c_str(), user->pw_uid, user->pw_gid) != 0)
      throw std::runtime_error("there is no user postgres");
  }
  initialize(settings);
  start();
}

PostgresServer::~PostgresServer() {
  kill();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

std::string PostgresServer::url(const std::string& database, const std::string& user) const {
  return "postgresql://" + user + "@127.0.0.1:" + std::to_string(port_) + "/" + database;
}

std::vector<std::string> PostgresServer::as_postgres() const {
  if (::getuid() != 0) return {};
  return {"setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--pdeathsig=KILL", "--"};
}

void PostgresServer::initialize(const std::vector<std::string>& settings) {
  std::vector<std::string> arguments = as_postgres();
  const std::string data = (folder_ / "data").string();
  for (const std::string& argument :
       {(kBinaries / "initdb").string(), std::string("-D"), data, std::string("-U"), std::string("postgres"),
        std::string("-A"), std::string("trust"), std::string("-E"), std::string("UTF8"),
        std::string("--locale=C.UTF-8"), std::string("--no-sync")})
    arguments.push_back(argument);
  int status = 0;
  ::waitpid(spawn(arguments, (folder_ / "log").string()), &status, 0);
  if (status != 0) throw std::runtime_error("initdb failed: " + contents(folder_ / "log"));
  std::ofstream configuration(folder_ / "data" / "postgresql.conf", std::ios::app);
  configuration << "max_connections = 200\nshared_buffers = 64MB\njit = off\nautovacuum_naptime = 1\n";
  for (const std::string& setting : settings) configuration << setting << '\n';
}

/// After a kill the processes of the one before need a moment to find out, and hold the data until then.
void PostgresServer::start() {
  constexpr int kAttempts = 100;
  for (int attempt = 1;; ++attempt) {
    try {
      return start_once();
    } catch (const std::runtime_error&) {
      if (attempt == kAttempts) throw;
      std::this_thread::sleep_for(std::chrono::milliseconds{100});
    }
  }
}

void PostgresServer::start_once() {
  std::vector<std::string> arguments = as_postgres();
  for (const std::string& argument :
       {(kBinaries / "postgres").string(), std::string("-D"), (folder_ / "data").string(), std::string("-h"),
        std::string("127.0.0.1"), std::string("-p"), std::to_string(port_), std::string("-k"),
        folder_.string()})
    arguments.push_back(argument);
  process_ = spawn(arguments, (folder_ / "log").string());
  wait_until_ready();
}

void PostgresServer::wait_until_ready() {
  const std::string port = std::to_string(port_);
  for (int i = 0; i < 1'000; ++i) {
    const pid_t asking =
        spawn({(kBinaries / "pg_isready").string(), "-q", "-h", "127.0.0.1", "-p", port}, "/dev/null");
    int status = 0;
    ::waitpid(asking, &status, 0);
    if (status == 0) return;
    check_alive();
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
  }
  throw std::runtime_error("postgres did not start: " + contents(folder_ / "log"));
}

void PostgresServer::check_alive() {
  if (::waitpid(process_, nullptr, WNOHANG) != process_) return;
  process_ = -1;
  throw std::runtime_error("postgres ended: " + contents(folder_ / "log"));
}

void PostgresServer::kill() {
  if (process_ <= 0) return;
  ::kill(process_, SIGKILL);
  ::waitpid(process_, nullptr, 0);
  process_ = -1;
}

}  // namespace headroom::testing
