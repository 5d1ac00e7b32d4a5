#include "redis/pipeline.hpp"

#include <array>
#include <limits>
#include <new>

#include <fmt/format.h>
#include <hiredis/hiredis.h>
#include <openssl/evp.h>

namespace headroom::redis {

namespace {

std::string sha1_hex(std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr) != 1)
    throw std::bad_alloc();
  std::string hex;
  for (unsigned i = 0; i < size; ++i) fmt::format_to(std::back_inserter(hex), "{:02x}", digest.at(i));
  return hex;
}

void append_formatted(std::string& bytes, Arguments command) {
  std::vector<const char*> starts;
  std::vector<std::size_t> sizes;
  for (const auto argument : command) {
    starts.push_back(argument.data() == nullptr ? "" : argument.data());
    sizes.push_back(argument.size());
  }
  char* formatted = nullptr;
  const int size =
      redisFormatCommandArgv(&formatted, static_cast<int>(command.size()), starts.data(), sizes.data());
  if (size < 0) throw std::bad_alloc();
  bytes.append(formatted, static_cast<std::size_t>(size));
  redisFreeCommand(formatted);
}

/// "*5\r\n$7\r\nEVALSHA\r\n$40\r\n<sha>\r\n": the part that differs between the two ways to run a script.
std::string script_head(std::size_t arguments, std::string_view verb, std::string_view script) {
  return fmt::format("*{}\r\n${}\r\n{}\r\n${}\r\n{}\r\n", arguments, verb.size(), verb, script.size(),
                     script);
}

}  // namespace

Script::Script(std::string text) : text_(std::move(text)), sha_(sha1_hex(text_)) {}

void Pipeline::add(Arguments command) {
  const auto begin = bytes_.size();
  append_formatted(bytes_, command);
  commands_.push_back({begin, nullptr});
}

void Pipeline::add_script(const Script& script, Arguments keys, Arguments arguments) {
  const auto number_of_keys = std::to_string(keys.size());
  std::vector<std::string_view> command{"EVALSHA", script.sha(), number_of_keys};
  command.insert(command.end(), keys.begin(), keys.end());
  command.insert(command.end(), arguments.begin(), arguments.end());
  add(command);
  commands_.back().script = &script;
}

std::string_view Pipeline::bytes(std::size_t index) const {
  const auto begin = commands_[index].begin;
  const auto end = index + 1 < commands_.size() ? commands_[index + 1].begin : bytes_.size();
  return std::string_view(bytes_).substr(begin, end - begin);
}

std::string Pipeline::bytes_with_text(std::size_t index) const {
  const auto by_hash = bytes(index);
  const auto arguments = std::stoul(std::string(by_hash.substr(1, by_hash.find('\r') - 1)));
  const auto& script = *commands_[index].script;
  const auto head = script_head(arguments, "EVALSHA", script.sha());
  return script_head(arguments, "EVAL", script.text()).append(by_hash.substr(head.size()));
}

}  // namespace headroom::redis
