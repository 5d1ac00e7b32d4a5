-- Names this history: another server, another timeline or another generation is another epoch.
CREATE OR REPLACE FUNCTION headroom.epoch() RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN format('%s-%s-%s', to_hex((pg_control_system()).system_identifier),
    ltrim(substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8), '0'),
    (SELECT generation FROM headroom.leader));
END $$;

-- The newest offset of a channel; of one that has none, or was forgotten, that after which it begins.
CREATE OR REPLACE FUNCTION headroom.newest(of_channel text) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
BEGIN
  -- One statement, and so one snapshot: it sees the channel, or what forgetting it left.
  RETURN coalesce(
    greatest(
      (SELECT s.channel_offset FROM headroom.stream s WHERE s.channel = of_channel AND s.data IS NOT NULL
       ORDER BY s.channel_offset DESC LIMIT 1),
      (SELECT c.newest FROM headroom.channel c WHERE c.channel = of_channel)),
    (SELECT o.channel_offset FROM headroom.origin o));
END $$;

-- What a node reads as it starts and after each loss of its connection. `proven` is false when the row that
-- it saw last is not there and can't have been cleaned away: then this is not the history that it knows.
CREATE OR REPLACE FUNCTION headroom.node_state(seen_seq bigint, seen_source bigint,
                                               OUT version integer, OUT epoch text, OUT seq bigint,
                                               OUT proven boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
AS $$
#variable_conflict use_column
BEGIN
  version := (SELECT a.version FROM headroom.about a);
  epoch := headroom.epoch();
  seq := (SELECT b.seq FROM headroom.batch b ORDER BY b.batch DESC LIMIT 1);
  proven := seen_seq = 0 OR (seen_seq <= seq AND coalesce(
    (SELECT s.source = seen_source FROM headroom.stream s WHERE s.seq = seen_seq),
    NOT EXISTS (SELECT FROM headroom.stream s WHERE s.seq < seen_seq)));
END $$;

-- A node that can prove a loss begins another history, once: `known` is the epoch that it found.
CREATE OR REPLACE FUNCTION headroom.break_history(known text) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  UPDATE headroom.leader SET generation = substr(md5(gen_random_uuid()::text), 1, 12) WHERE headroom.epoch() = known;
$$;

-- The stream after `after_seq`, in order. At least one row comes, which tells the epoch.
CREATE OR REPLACE FUNCTION headroom.poll(after_seq bigint, most integer)
RETURNS TABLE (epoch text, seq bigint, source bigint, ticket bigint, channel text, channel_offset bigint, data text)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
    SELECT headroom.epoch(), NULL::bigint, NULL::bigint, NULL::bigint, NULL::text, NULL::bigint, NULL::text;
  RETURN QUERY
    SELECT NULL::text, s.seq, s.source, s.ticket, s.channel, s.channel_offset, s.data
    FROM headroom.stream s WHERE s.seq > after_seq ORDER BY s.seq LIMIT most;
END $$;

CREATE OR REPLACE FUNCTION headroom.positions(channels text[])
RETURNS TABLE (epoch text, channel text, channel_offset bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  SELECT e.epoch, c.channel, headroom.newest(c.channel)
  FROM (SELECT headroom.epoch() AS epoch OFFSET 0) e, unnest(channels) WITH ORDINALITY AS c (channel, n)
  ORDER BY c.n;
$$;

-- The messages of a channel that its rule keeps (`kept`, `kept_bytes`, `kept_s`: whichever is reached first)
-- after the offset `since`, or the newest ones without it. The first row has no data: the epoch, the newest
-- offset and, in `oldest`, the first one that is kept.
CREATE OR REPLACE FUNCTION headroom.history(of_channel text, since bigint, most integer, kept integer,
                                            kept_bytes bigint, kept_s bigint)
RETURNS TABLE (epoch text, channel_offset bigint, oldest bigint, data text)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
#variable_conflict use_column
DECLARE
  newest bigint := headroom.newest(of_channel);
  first bigint;
BEGIN
  SELECT min(k.channel_offset) INTO first
  FROM (SELECT n.channel_offset, sum(n.bytes) OVER (ORDER BY n.channel_offset DESC) AS total
        FROM (SELECT s.channel_offset, s.bytes, s.at FROM headroom.stream s
              WHERE s.channel = of_channel AND s.data IS NOT NULL
              ORDER BY s.channel_offset DESC LIMIT kept) n
        WHERE n.at > clock_timestamp() - make_interval(secs => kept_s)) k
  WHERE k.total <= kept_bytes;
  first := coalesce(first, newest + 1);
  RETURN QUERY SELECT headroom.epoch(), newest, first, NULL::text;
  RETURN QUERY SELECT NULL::text, s.channel_offset, NULL::bigint, s.data
    FROM headroom.stream s
    WHERE s.channel = of_channel AND s.data IS NOT NULL AND s.channel_offset <= newest
      AND s.channel_offset >= greatest(first, coalesce(since + 1, newest - most + 1))
    ORDER BY s.channel_offset LIMIT most;
END $$;
