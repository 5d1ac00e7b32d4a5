#include "headroom/worklist_authority.hpp"

#include <utility>

namespace headroom::cli {

using base::ErrorCode;
using base::fail;
using base::Result;

WorklistAuthority worklist_authority(BusService* bus, TrytonBus* tryton, const std::string& database) {
  WorklistAuthority authority;
  if (bus != nullptr) {
    authority.token = [bus](std::string_view token) -> Result<WorklistProof> {
      auto grant = bus::read_token(token, bus->keys(), {}, bus::read_clocks().unix_s);
      if (!grant) return fail(std::move(grant.error()));
      if (bus->hub().is_revoked(*grant))
        return fail(ErrorCode::kDenied, "the token was revoked: its user or session was disconnected");
      return WorklistProof{grant->user, grant->admin};
    };
  }
  if (tryton != nullptr && !database.empty()) {
    authority.session = [tryton, database](std::string_view header,
                                           WorklistAuthority::Done<WorklistProof> done) {
      tryton->prove(database, header, [done = std::move(done)](const Result<std::int32_t>& user) {
        if (!user) return done(fail(user.error()));
        done(WorklistProof{std::to_string(*user), false});
      });
    };
  }
  return authority;
}

}  // namespace headroom::cli
