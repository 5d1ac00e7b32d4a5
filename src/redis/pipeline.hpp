#pragma once

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace headroom::redis {

using Arguments = std::span<const std::string_view>;

/// A Lua script that runs inside the server, known to it by the SHA-1 of its text.
class Script final {
 public:
  explicit Script(std::string text);
  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] const std::string& sha() const { return sha_; }

 private:
  std::string text_;
  std::string sha_;
};

/// Commands that are sent together; `Connection::run` gives one reply for each, in order.
/// Lifetime: the arguments are copied; a Script must outlive the pipeline.
class Pipeline final {
 public:
  void add(Arguments command);
  void add(std::initializer_list<std::string_view> command) {
    add(Arguments(command.begin(), command.size()));
  }
  /// Runs the script by its hash; the connection sends the text when the server does not know it.
  void add_script(const Script& script, Arguments keys, Arguments arguments);

  [[nodiscard]] std::size_t size() const { return commands_.size(); }
  [[nodiscard]] bool empty() const { return commands_.empty(); }
  /// All commands as they go over the wire.
  [[nodiscard]] const std::string& bytes() const { return bytes_; }
  /// One command as it goes over the wire.
  [[nodiscard]] std::string_view bytes(std::size_t index) const;
  [[nodiscard]] const Script* script(std::size_t index) const { return commands_[index].script; }
  /// A script command with the script's text in place of its hash.
  [[nodiscard]] std::string bytes_with_text(std::size_t index) const;

 private:
  struct Command {
    std::size_t begin = 0;
    const Script* script = nullptr;
  };

  std::string bytes_;
  std::vector<Command> commands_;
};

}  // namespace headroom::redis
