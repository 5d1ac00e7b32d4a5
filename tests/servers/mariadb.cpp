#include "tests/servers/mariadb.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
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

constexpr const char* kUser = "nobody";

std::filesystem::path make_folder() {
  std::string name = (std::filesystem::temp_directory_path() / "headroom-test-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::system_error(errno, std::generic_category(), "mkdtemp");
  return name;
}

std::string contents(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// In a session of its own. MariaDB refuses to run as root.
pid_t spawn(std::vector<std::string> arguments, const std::string& log) {
  if (::getuid() == 0) {
    const std::vector<std::string> as_user{"setpriv",          std::string("--reuid=") + kUser,
                                           "--regid=nogroup",  "--clear-groups",
                                           "--pdeathsig=KILL", "--"};
    arguments.insert(arguments.begin(), as_user.begin(), as_user.end());
  }
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

bool listens(std::uint16_t port) {
  const int probe = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool connected = ::connect(probe, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  ::close(probe);
  return connected;
}

}  // namespace

MariaDbServer::MariaDbServer() : folder_(make_folder()), port_(free_port()) {
  std::filesystem::permissions(folder_, std::filesystem::perms{0755});
  const passwd* user = ::getpwnam(kUser);
  if (::getuid() == 0 && (user == nullptr || ::chown(folder_.c_str(), user->pw_uid, user->pw_gid) != 0))
    throw std::runtime_error("there is no user nobody");
  initialize();
  start();
}

MariaDbServer::~MariaDbServer() {
  kill();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

std::string MariaDbServer::url(const std::string& database) const {
  return "mariadb://headroom:geheim@127.0.0.1:" + std::to_string(port_) + "/" + database;
}

void MariaDbServer::initialize() {
  const std::string data = (folder_ / "data").string();
  int status = 0;
  ::waitpid(spawn({"mariadb-install-db", "--no-defaults", "--auth-root-authentication-method=normal",
                   "--skip-test-db", "--skip-name-resolve", "--innodb-flush-method=nosync",
                   "--innodb-use-native-aio=0", "--innodb-log-file-size=16M", "--datadir=" + data},
                  (folder_ / "log").string()),
            &status, 0);
  if (status != 0) throw std::runtime_error("mariadb-install-db failed: " + contents(folder_ / "log"));
  std::ofstream(folder_ / "first.sql")
      << "CREATE DATABASE IF NOT EXISTS test;\n"
         "CREATE OR REPLACE USER headroom@'127.0.0.1' IDENTIFIED BY 'geheim';\n"
         "GRANT ALL ON *.* TO headroom@'127.0.0.1' WITH GRANT OPTION;\n"
         "CREATE OR REPLACE USER headroom@localhost IDENTIFIED BY 'geheim';\n"
         "GRANT ALL ON *.* TO headroom@localhost WITH GRANT OPTION;\n";
}

void MariaDbServer::start() {
  process_ = spawn(
      {"mariadbd", "--no-defaults", "--datadir=" + (folder_ / "data").string(), "--bind-address=127.0.0.1",
       "--port=" + std::to_string(port_), "--socket=" + socket(), "--pid-file=" + (folder_ / "pid").string(),
       "--init-file=" + (folder_ / "first.sql").string(), "--skip-name-resolve",
       "--innodb-flush-method=nosync", "--innodb-log-file-size=16M", "--innodb-use-native-aio=0",
       "--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=0",
       "--character-set-server=utf8mb4", "--collation-server=utf8mb4_general_ci"},
      (folder_ / "log").string());
  wait_until_ready();
}

/// The port is opened behind the statements of the first file.
void MariaDbServer::wait_until_ready() {
  for (int i = 0; i < 1'000; ++i) {
    if (listens(port_)) return;
    if (::waitpid(process_, nullptr, WNOHANG) == process_) {
      process_ = -1;
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
  }
  throw std::runtime_error("mariadbd did not start: " + contents(folder_ / "log"));
}

void MariaDbServer::kill() {
  if (process_ <= 0) return;
  ::kill(process_, SIGKILL);
  ::waitpid(process_, nullptr, 0);
  process_ = -1;
}

}  // namespace headroom::testing
