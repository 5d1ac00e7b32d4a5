-- What nodes tell each other beside messages. What they say of who is there is notified and kept nowhere; what is
-- revoked is a row, and a notification only says that there is one.
--
-- Notifications go to a channel whose name only nodes can learn: whoever can't hears and forges nothing.
ALTER TABLE headroom.about ADD COLUMN IF NOT EXISTS nodes text NOT NULL DEFAULT 'headroom ' || gen_random_uuid();

CREATE TABLE IF NOT EXISTS headroom.revoked (
  key text PRIMARY KEY,    -- 'u' or 's' and the name of the user or session
  before bigint NOT NULL,  -- tokens that were issued before this second are not accepted
  tx xid8 NOT NULL DEFAULT pg_current_xact_id()
);

-- The caller's session hears the others from now on.
CREATE OR REPLACE FUNCTION headroom.hear_nodes() RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  EXECUTE format('LISTEN %I', (SELECT a.nodes FROM headroom.about a));
END $$;

-- They hear all parts, in order and with nothing in between, or none. Nothing waits for the disk: it is kept nowhere.
CREATE OR REPLACE FUNCTION headroom.tell_nodes(parts text[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  PERFORM pg_notify(a.nodes, p.part) FROM headroom.about a, unnest(parts) WITH ORDINALITY AS p (part, n) ORDER BY p.n;
END $$;

-- Keeps what is revoked, the newest 10,000 of a week: as long as a token lives, and as many as a node knows.
CREATE OR REPLACE FUNCTION headroom.revoke(keys text[], befores bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  most CONSTANT integer := 10000;
BEGIN
  IF current_setting('synchronous_commit') = 'off' THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;
  INSERT INTO headroom.revoked AS r (key, before)
  SELECT u.key, max(u.before) FROM unnest(keys, befores) AS u (key, before) GROUP BY u.key ORDER BY u.key
  ON CONFLICT (key) DO UPDATE SET before = excluded.before, tx = excluded.tx WHERE r.before < excluded.before;
  DELETE FROM headroom.revoked r WHERE r.before < date_part('epoch', clock_timestamp()) - 7 * 86400;
  IF (SELECT count(*) FROM headroom.revoked) > most THEN
    DELETE FROM headroom.revoked r
    WHERE r.key IN (SELECT o.key FROM headroom.revoked o ORDER BY o.before DESC, o.key OFFSET most);
  END IF;
  PERFORM pg_notify(a.nodes, 'revoked') FROM headroom.about a;
END $$;

-- What was revoked by transactions that a look did not see: in the first row how far this one sees, for the next.
CREATE OR REPLACE FUNCTION headroom.revocations(since xid8) RETURNS TABLE (seen xid8, key text, before bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  SELECT pg_snapshot_xmin(pg_current_snapshot()), NULL, NULL
  UNION ALL
  SELECT NULL, r.key, r.before FROM headroom.revoked r WHERE r.tx >= since;
$$;
