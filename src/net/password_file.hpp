#pragma once

// The people who may sign in with a name and a password: one line each, `user:role:hash`.
//
// The hash is Argon2id in its encoded form, which carries its own salt and cost. The costs that a file may
// ask for are bounded when it is read, so that no line of it can make a sign-in take minutes or gigabytes.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "net/http.hpp"

namespace headroom::net {

struct PasswordEntry {
  std::string user;  ///< 1 to 64 bytes of UTF-8 without colon, blanks and control characters
  Role role = Role::kViewer;
  std::string hash;  ///< "$argon2id$v=19$m=65536,t=3,p=1$..."
  bool operator==(const PasswordEntry&) const = default;
};

/// A parsed password file.
class PasswordFile {
 public:
  static constexpr std::size_t kMostBytes = 1024 * 1024;

  /// Empty lines and those that begin with '#' are passed over.
  /// Errors: those of read_secret_file; invalid_argument ("file:3: ...").
  [[nodiscard]] static base::Result<PasswordFile> read(const std::filesystem::path& file);
  [[nodiscard]] static base::Result<PasswordFile> parse(std::string_view text, std::string_view name);

  [[nodiscard]] const std::vector<PasswordEntry>& entries() const { return entries_; }
  /// Or nullptr.
  [[nodiscard]] const PasswordEntry* find(std::string_view user) const;
  /// Adds the user, or replaces what is there.
  void set(PasswordEntry entry);
  /// False when there is no such user.
  [[nodiscard]] bool remove(std::string_view user);
  /// As `parse` reads it.
  [[nodiscard]] std::string text() const;
  /// Replaces the file at once or not at all; a new one gets mode 0600, an old one keeps mode and owner.
  [[nodiscard]] base::Result<void> write(const std::filesystem::path& file) const;

 private:
  std::vector<PasswordEntry> entries_;
};

/// What one computation of a hash takes. The default is about 0.1 s and 64 MiB.
struct HashCost {
  std::uint32_t memory_kib = 64 * 1024;
  std::uint32_t passes = 3;
};

/// Errors: invalid_argument for a name that a line of the file can't hold.
[[nodiscard]] base::Result<void> check_user_name(std::string_view user);
/// Argon2id with a random salt. Errors: invalid_argument (shorter than 10 or longer than 512 bytes), internal
/// (no memory).
[[nodiscard]] base::Result<std::string> hash_password(std::string_view password, const HashCost& cost = {});
/// Cost: that of the hash. Threads: any.
[[nodiscard]] bool password_matches(const std::string& hash, std::string_view password);

}  // namespace headroom::net
