#include "perf/report_sample.hpp"

#include <algorithm>
#include <chrono>

namespace headroom::perf {

namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kSelectSale = 0x1a2b;
constexpr std::uint64_t kSelectParty = 0x2b3c;
constexpr std::uint64_t kUpdateSale = 0x3c4d;
constexpr std::uint64_t kBegin = 0x4d5e;

UtcTime at(Microseconds offset) {
  return UtcTime(std::chrono::sys_days{std::chrono::year{2026} / 11 / 21}.time_since_epoch() + 8h + offset);
}

StatementInfo statement(std::uint64_t fingerprint, sql::StatementKind kind, std::vector<std::string> tables,
                        std::string text) {
  StatementInfo info;
  info.fingerprint = fingerprint;
  info.kind = kind;
  info.tables = std::move(tables);
  info.normalized = std::move(text);
  return info;
}

CallRecord call(std::string id, std::string session, std::string user, std::string method,
                Microseconds offset, Microseconds wall) {
  CallRecord record;
  record.summary.id = std::move(id);
  record.summary.database = "shop";
  record.summary.session = std::move(session);
  record.summary.user = std::move(user);
  record.summary.method = std::move(method);
  record.summary.start = at(offset);
  record.summary.wall = wall;
  record.summary.cpu = wall / 2;
  record.summary.http_status = 200;
  record.attempts = {{wall, 0, ""}};
  return record;
}

void add_total(CallRecord& record, StatementTotal total) {
  record.summary.statements += total.count;
  record.summary.sql += total.time;
  record.summary.rows += total.rows;
  record.summary.most_repeated = std::max(record.summary.most_repeated, total.count);
  record.statements.push_back(std::move(total));
}

/// Opens a sale: one statement for the sale, then one for each of its parties.
CallRecord open_sale() {
  CallRecord record = call("c1", "71aa", "admin", "model.sale.sale.read", 0s, 120ms);
  record.summary.bytes_in = 180;
  record.summary.bytes_out = 20480;
  add_total(record, {kBegin, 4, 400us, 100us, 0, ""});
  add_total(record, {kSelectSale, 1, 4ms, 4ms, 1, ""});
  add_total(record, {kSelectParty, 14, 28ms, 3ms, 14,
                     "  File \"trytond/model/fields.py\", line 40, in get\n  File \"modules/sale/sale.py\", "
                     "line 7, in get_party"});
  return record;
}

/// Saves it: statements in order, a slow one, bodies.
CallRecord save_sale() {
  CallRecord record = call("c2", "71aa", "admin", "model.sale.sale.write", 2s, 1250ms);
  record.summary.has = Has::kDb | Has::kQuery | Has::kIo;
  record.summary.connection_wait = 5ms;
  record.summary.commit = 8ms;
  add_total(record, {kSelectSale, 1, 3ms, 3ms, 1, ""});
  add_total(record, {kUpdateSale, 1, 1100ms, 1100ms, 1, ""});
  record.events = {{kSelectSale, 1ms, 3ms, 1, "[7]"}, {kUpdateSale, 9ms, 1100ms, 1, R"(["done", 7])"}};
  record.slow = {{kUpdateSale, 9ms, 1100ms, 1, "UPDATE \"sale_sale\" SET \"state\" = 'done' WHERE \"id\" = 7",
                  "  File \"trytond/model/modelsql.py\", line 900, in write\n  File "
                  "\"modules/sale/sale.py\", line 12, in do"}};
  record.request = Body{R"({"method": "model.sale.sale.write", "params": [[7], {"state": "done"}]})", 71};
  record.response = Body{R"({"result": null})", 4096, true};
  return record;
}

Profile exact_profile() {
  ProfileBuilder builder(Profile::Kind::kExact);
  const std::uint32_t dispatch = builder.child(0, {"dispatch", "trytond/dispatcher.py", 10});
  const std::uint32_t read = builder.child(dispatch, {"sale.sale:read", "trytond/model/modelsql.py", 600});
  const std::uint32_t again = builder.child(read, {"sale.sale:read", "trytond/model/modelsql.py", 600});
  builder.add(dispatch, 1, 10ms);
  builder.add(read, 2, 30ms);
  builder.add(again, 4, 5ms);
  return std::move(builder).take();
}

CallRecord profiled_call() {
  CallRecord record = call("c3", "71aa", "admin", "model.party.party.search", 5s, 45ms);
  record.summary.has = Has::kProfile;
  record.exact_profile = exact_profile();
  add_total(record, {kSelectParty, 1, 6ms, 6ms, 80, ""});
  return record;
}

/// Another user's call that writes the sale while `save_sale` does, and loses once.
CallRecord collided_call() {
  CallRecord record = call("c4", "7bcc", "demo", "model.sale.sale.process", 2500ms, 900ms);
  record.summary.attempts = 2;
  record.summary.has = Has::kConflict;
  record.summary.cpu.reset();
  record.address = "192.0.2.7";
  record.host = "app1";
  record.process = 42;
  record.thread = 7;
  record.parent = "c2";
  record.cache_hits = 90;
  record.cache_misses = 3;
  record.cache_clears = 1;
  record.memory_growth = 2 << 20;
  record.attempts = {{300ms, 3, "SerializationFailure: could not serialize access due to concurrent update"},
                     {600ms, 3, ""}};
  add_total(record, {kUpdateSale, 2, 40ms, 30ms, 1, ""});
  return record;
}

CallRecord hostile_call() {
  CallRecord record = call("c5", "7bcc", "demo", "model.\x1b[2J\tevil\n\xff", 6s, 1ms);
  record.summary.status = CallStatus::kException;
  record.error = "AttributeError: no such method\n  in \x1b[31mdispatch";
  return record;
}

CallRecord call_of_other_database() {
  CallRecord record = call("c6", "71aa", "admin", "common.db.logout", 9s, 2ms);
  record.summary.database = "test";
  return record;
}

MethodCount method_count(std::string method, CallKind kind, std::int64_t hour, std::uint64_t number,
                         Microseconds each) {
  MethodCount counted;
  counted.database = "shop";
  counted.method = std::move(method);
  counted.kind = kind;
  counted.hour = hour;
  counted.count = number;
  counted.errors = number / 4;
  counted.time = each * static_cast<std::int64_t>(number);
  counted.sql = counted.time / 2;
  counted.statements = 5 * number;
  for (std::uint64_t i = 0; i < number; ++i) counted.histogram.add(each);
  return counted;
}

}  // namespace

Batch sample_batch() {
  using sql::StatementKind;
  Batch batch;
  batch.statements = {
      statement(kSelectSale, StatementKind::kSelect, {"sale_sale"},
                "SELECT \"id\" FROM \"sale_sale\" WHERE \"id\" = $1"),
      statement(kSelectParty, StatementKind::kSelect, {"party_party", "party_address"},
                "SELECT \"name\" FROM \"party_party\" JOIN \"party_address\" ON true WHERE \"id\" = $1"),
      statement(kUpdateSale, StatementKind::kUpdate, {"sale_sale"},
                "UPDATE \"sale_sale\" SET \"state\" = $1 WHERE \"id\" = $2"),
      statement(kBegin, StatementKind::kTransaction, {}, "BEGIN")};
  batch.calls = {open_sale(),     save_sale(),    profiled_call(),
                 collided_call(), hostile_call(), call_of_other_database()};
  batch.counts = {method_count("model.sale.sale.read", CallKind::kRpc, 498800, 8, 100ms),
                  method_count("model.sale.sale.read", CallKind::kRpc, 498801, 4, 400ms),
                  method_count("bus", CallKind::kBus, 498801, 2, 300s),
                  method_count("model.res.user.read", CallKind::kRpc, 498801, 40, 2ms)};
  return batch;
}

}  // namespace headroom::perf
