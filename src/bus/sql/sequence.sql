-- The slot of stream and batch that is filled now.
CREATE OR REPLACE FUNCTION headroom.stream_slot(period_s integer) RETURNS smallint LANGUAGE sql VOLATILE
AS 'SELECT ((pg_catalog.date_part(''epoch'', pg_catalog.clock_timestamp())::bigint / period_s) % 6)::smallint';

-- Makes the caller's session the sequencer while it lasts, if none is, and answers its term. The lock ends
-- with the session; the term stops one that still believes in itself. A dump that was restored elsewhere
-- begins another history: its transaction numbers are of another server. A node that does not read the write-ahead
-- log can't lead while publications go there.
DROP FUNCTION IF EXISTS headroom.campaign(text, integer);
CREATE OR REPLACE FUNCTION headroom.campaign(own_node text, retention_s integer, reads_log boolean DEFAULT false)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  won bigint;
  here bigint := (pg_control_system()).system_identifier;
BEGIN
  IF NOT reads_log AND to_regclass('headroom.log') IS NOT NULL THEN
    IF EXISTS (SELECT FROM headroom.log) THEN
      RAISE EXCEPTION 'publications go into the write-ahead log: set [bus] source = "logical", or run SELECT headroom.leave_log()'
        USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
  END IF;
  IF NOT pg_try_advisory_lock(7521983763894330732) THEN
    RETURN NULL;
  END IF;
  -- A node that hangs, or can't be reached any more, asks nothing: then the lock goes to another.
  PERFORM set_config('idle_session_timeout', '5s', false);
  IF EXISTS (SELECT FROM headroom.leader l WHERE l.system <> here) THEN
    TRUNCATE headroom.outbox;
    PERFORM headroom.leave_log();
    INSERT INTO headroom.batch (slot, batch, term, seq, since, until)
    SELECT b.slot, b.batch + 1, b.term, b.seq, pg_current_snapshot(), pg_current_snapshot()
    FROM headroom.batch b ORDER BY b.batch DESC LIMIT 1;
    UPDATE headroom.leader SET system = here, generation = substr(md5(gen_random_uuid()::text), 1, 12);
  END IF;
  UPDATE headroom.leader SET term = term + 1, node = own_node, since = now(), period_s = greatest(1, retention_s / 4)
  RETURNING term INTO won;
  RETURN won;
END $$;

-- Whoever campaigns waits until the caller's transaction has ended; after a campaign the old term is refused.
CREATE OR REPLACE FUNCTION headroom.check_term(own_term bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM FROM headroom.leader l WHERE l.term = own_term FOR SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'term % is over', own_term USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
END $$;

-- Gives offsets to at most `most` messages that have become visible in the outbox, and behind them to those that
-- were read from the write-ahead log up to a commit; stores them, and answers as headroom.poll does: the first row
-- has in `seq` how many there are. With `keep` it also writes down how far it has read when there was nothing.
--
-- A message is read when its transaction is visible, whenever that is: rows are found by the transactions
-- that the last snapshot did not show (those that ran then, by number, and those that came after), so that one
-- which stays open costs one look into an index. Order: within a window that became visible at once, that of
-- publishing; a window of more than `most` rows is cut by transaction number.
--
-- It runs 200 times a second, mostly for a few messages, so what it costs is the beginning of its statements: one
-- scan each for every partition that may hold something. Hence what was read stands in arrays in between, slots
-- of the outbox without a file are left out, and repeats are looked for only where there is an id.
DROP FUNCTION IF EXISTS headroom.sequence(bigint, integer, boolean);
DROP FUNCTION IF EXISTS headroom.sequence(bigint, integer, boolean, text[], text[], bigint[], text[], pg_lsn, bigint);
CREATE FUNCTION headroom.sequence(own_term bigint, most integer, keep boolean, log_channels text[] DEFAULT '{}',
                                  log_ids text[] DEFAULT '{}', log_tickets bigint[] DEFAULT '{}',
                                  log_datas text[] DEFAULT '{}', log_lsn pg_lsn DEFAULT NULL,
                                  log_read bigint DEFAULT NULL)
RETURNS TABLE (epoch text, seq bigint, source bigint, ticket bigint, channel text, channel_offset bigint, data text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
-- A long backlog is read in the order of the index, and not sorted as a whole for each step.
SET enable_sort = off
-- It would be planned anew each time, for longer than the step takes.
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
  last headroom.batch;
  here headroom.leader;
  own_slot smallint;
  instant timestamptz := clock_timestamp();
  after_tx xid8;
  begin_tx xid8;
  begin_source bigint;
  waited xid8[];
  filled smallint[];
  txs xid8[];
  sources bigint[];
  tickets bigint[];
  channels text[];
  ids text[];
  datas text[];
  offsets bigint[];
  got integer;
  got_visible integer;
  got_ids integer;
  end_tx xid8;
  end_source bigint;
BEGIN
  SELECT * INTO here FROM headroom.leader;
  SELECT * INTO last FROM headroom.batch b ORDER BY b.batch DESC LIMIT 1;
  LOOP
    IF last.read_tx IS NULL THEN
      last.since := last.until;
      last.until := pg_current_snapshot();
      last.read_source := 0;
    END IF;
    -- One comparison says where a scan of the index begins: of two it may take the other, and read from the beginning.
    after_tx := coalesce(last.read_tx, '0');
    begin_tx := greatest(pg_snapshot_xmax(last.since), after_tx);
    begin_source := CASE WHEN begin_tx = after_tx THEN last.read_source ELSE 0 END;
    waited := ARRAY(SELECT x FROM pg_snapshot_xip(last.since) AS x WHERE x >= after_tx ORDER BY x);
    -- One that gets its file later has no row that the snapshot shows.
    filled := ARRAY[CASE WHEN pg_relation_size('headroom.outbox_0', 'main') > 0 THEN 0 END,
                    CASE WHEN pg_relation_size('headroom.outbox_1', 'main') > 0 THEN 1 END,
                    CASE WHEN pg_relation_size('headroom.outbox_2', 'main') > 0 THEN 2 END,
                    CASE WHEN pg_relation_size('headroom.outbox_3', 'main') > 0 THEN 3 END]::smallint[];
    SELECT count(*), count(v.id), array_agg(v.tx), array_agg(v.source), array_agg(v.ticket), array_agg(v.channel),
           array_agg(v.id), array_agg(v.data)
    INTO got_visible, got_ids, txs, sources, tickets, channels, ids, datas
    FROM (SELECT * FROM (
            (SELECT o.* FROM unnest(waited) WITH ORDINALITY AS x (tx, n) CROSS JOIN LATERAL (
               SELECT o.tx, o.source, o.ticket, o.channel, o.id, o.data FROM headroom.outbox o
               WHERE o.slot IN (filled[1], filled[2], filled[3], filled[4]) AND o.tx = x.tx
                 AND o.source > CASE WHEN x.tx = after_tx THEN last.read_source ELSE 0 END
               ORDER BY o.source LIMIT most) o
             WHERE pg_visible_in_snapshot(x.tx, last.until) ORDER BY x.n, o.source LIMIT most)
            UNION ALL
            (SELECT o.tx, o.source, o.ticket, o.channel, o.id, o.data FROM headroom.outbox o
             WHERE o.slot IN (filled[1], filled[2], filled[3], filled[4])
               AND (o.tx, o.source) > (begin_tx, begin_source) AND o.tx < pg_snapshot_xmax(last.until)
               AND pg_visible_in_snapshot(o.tx, last.until)
             ORDER BY o.tx, o.source LIMIT most)
            ORDER BY 1, 2 LIMIT most) w
          ORDER BY w.source) v;
    -- The rest of a window may be empty.
    EXIT WHEN got_visible > 0 OR last.read_tx IS NULL;
    last.read_tx := NULL;
  END LOOP;
  got := got_visible + cardinality(log_channels);
  IF got = 0 THEN
    RETURN QUERY SELECT NULL::text, 0::bigint, NULL::bigint, NULL::bigint, NULL::text, NULL::bigint, NULL::text;
    IF NOT keep THEN
      RETURN;
    END IF;
  END IF;
  IF current_setting('synchronous_commit') = 'off' THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;
  IF got_visible = most THEN
    SELECT u.tx, u.source INTO end_tx, end_source FROM unnest(txs, sources) AS u (tx, source) ORDER BY 1 DESC, 2 DESC LIMIT 1;
  END IF;
  IF cardinality(log_channels) > 0 THEN
    sources := sources || ARRAY(SELECT nextval('headroom.source') FROM generate_series(1, cardinality(log_channels)));
    tickets := tickets || ARRAY(SELECT nullif(u.ticket, 0) FROM unnest(log_tickets) WITH ORDINALITY AS u (ticket, n) ORDER BY u.n);
    channels := channels || log_channels;
    ids := ids || ARRAY(SELECT nullif(u.id, '') FROM unnest(log_ids) WITH ORDINALITY AS u (id, n) ORDER BY u.n);
    datas := datas || log_datas;
    got_ids := got_ids + cardinality(array_remove(log_ids, ''));
  END IF;
  own_slot := headroom.stream_slot(here.period_s);
  IF got > 0 THEN
    offsets := headroom.next_offsets(channels);
    IF got_ids > 0 THEN
      SELECT r.offsets, r.datas INTO offsets, datas FROM headroom.repeats(channels, ids, datas, offsets, instant) r;
    END IF;
    RETURN QUERY SELECT headroom.epoch(), got::bigint, NULL::bigint, NULL::bigint, NULL::text, NULL::bigint, NULL::text;
    RETURN QUERY
      INSERT INTO headroom.stream AS s (slot, seq, source, ticket, at, channel, channel_offset, id, bytes, data)
      SELECT own_slot, last.seq + u.n, u.source, u.ticket, instant, u.channel, u.channel_offset, u.id,
             coalesce(octet_length(u.data), 0), u.data
      FROM unnest(sources, tickets, channels, offsets, ids, datas) WITH ORDINALITY
        AS u (source, ticket, channel, channel_offset, id, data, n)
      RETURNING NULL::text, s.seq, s.source, s.ticket, s.channel, s.channel_offset, s.data;
  END IF;
  INSERT INTO headroom.batch (slot, batch, term, seq, since, until, read_tx, read_source, lsn, lsn_read)
  VALUES (own_slot, last.batch + 1, own_term, last.seq + got, last.since, last.until, end_tx, end_source,
          coalesce(log_lsn, last.lsn), coalesce(log_read, last.lsn_read));
  -- Held until the commit: who campaigns waits for it, and what it begins with is complete.
  PERFORM headroom.check_term(own_term);
  IF got > 0 THEN
    -- Its own node has these rows already.
    PERFORM pg_notify('headroom_stream', own_term::text);
  END IF;
END $$;

-- For a message in each of these channels, in order, its offset.
CREATE OR REPLACE FUNCTION headroom.next_offsets(of_channels text[]) RETURNS bigint[]
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN ARRAY(
    SELECT b.newest + row_number() OVER (PARTITION BY u.channel ORDER BY u.n)
    FROM unnest(of_channels) WITH ORDINALITY AS u (channel, n)
    JOIN (SELECT d.channel, coalesce(greatest(s.channel_offset, c.newest), o.channel_offset) AS newest
          FROM (SELECT DISTINCT unnest(of_channels) AS channel) d
          CROSS JOIN headroom.origin o
          LEFT JOIN headroom.channel c ON c.channel = d.channel
          LEFT JOIN LATERAL (
            SELECT s.channel_offset FROM headroom.stream s WHERE s.channel = d.channel AND s.data IS NOT NULL
            ORDER BY s.channel_offset DESC LIMIT 1) s ON true) b ON b.channel = u.channel
    ORDER BY u.n);
END $$;

-- Of messages with these offsets those whose id was seen in the last 5 minutes, or is there before: they get the
-- first one's offset, and no data; the others behind them move up.
CREATE OR REPLACE FUNCTION headroom.repeats(channels text[], ids text[], INOUT datas text[], INOUT offsets bigint[], instant timestamptz)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  SELECT array_agg(r.data ORDER BY r.n), array_agg(r.channel_offset ORDER BY r.n) INTO datas, offsets
  FROM (
    SELECT g.n, CASE WHEN g.is_first THEN g.data END AS data,
           coalesce(g.known, first_value(g.given) OVER (PARTITION BY g.channel, coalesce(g.id, g.n::text), g.id IS NULL ORDER BY g.n))
             AS channel_offset
    FROM (
      SELECT f.*, f.channel_offset - count(*) FILTER (WHERE NOT f.is_first) OVER (PARTITION BY f.channel ORDER BY f.n) AS given
      FROM (
        SELECT u.*, k.channel_offset AS known, k.channel_offset IS NULL AND (u.id IS NULL
                 OR row_number() OVER (PARTITION BY u.channel, u.id ORDER BY u.n) = 1) AS is_first
        FROM unnest(channels, ids, datas, offsets) WITH ORDINALITY AS u (channel, id, data, channel_offset, n)
        LEFT JOIN LATERAL (
          SELECT s.channel_offset FROM headroom.stream s
          WHERE u.id IS NOT NULL AND s.channel = u.channel AND s.id = u.id AND s.data IS NOT NULL
            AND s.at > instant - interval '5 minutes'
          ORDER BY s.channel_offset LIMIT 1) k ON true) f) g) r;
END $$;

-- Whether a slot could be emptied: not while anybody holds it, and never waiting for it, since whoever comes
-- behind a waiting lock waits too.
CREATE OR REPLACE FUNCTION headroom.lock_slot(slot_table text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  FOR attempt IN 1 .. 20 LOOP
    BEGIN
      EXECUTE format('LOCK TABLE headroom.%I IN ACCESS EXCLUSIVE MODE NOWAIT', slot_table);
      RETURN true;
    EXCEPTION WHEN lock_not_available THEN
      PERFORM pg_sleep(0.002);
    END;
  END LOOP;
  RETURN false;
END $$;

-- Empties a slot of the outbox that is not filled now and whose rows have all been read. One into which a
-- transaction has written that is still open can't be locked, and stays. Answers the slots emptied.
CREATE OR REPLACE FUNCTION headroom.clean_outbox(own_term bigint) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
AS $$
DECLARE
  last headroom.batch;
  name text;
  left_over boolean;
BEGIN
  FOR slot IN 0 .. 3 LOOP
    name := 'outbox_' || slot;
    CONTINUE WHEN slot = headroom.outbox_slot() OR pg_relation_size(format('headroom.%I', name)) = 0;
    CONTINUE WHEN NOT headroom.lock_slot(name);
    SELECT * INTO last FROM headroom.batch b ORDER BY b.batch DESC LIMIT 1;
    EXECUTE format('SELECT EXISTS (SELECT FROM headroom.%1$I WHERE tx >= pg_snapshot_xmax($1))'
                   ' OR EXISTS (SELECT FROM headroom.%1$I WHERE tx = ANY (ARRAY(SELECT pg_snapshot_xip($1))))', name)
    INTO left_over USING CASE WHEN last.read_tx IS NULL THEN last.until ELSE last.since END;
    CONTINUE WHEN left_over OR NOT EXISTS (SELECT FROM headroom.leader WHERE term = own_term);
    EXECUTE format('TRUNCATE headroom.%I', name);
    RETURN 1;
  END LOOP;
  RETURN 0;
END $$;

-- Empties a slot of the stream that is older than `retention_s`, keeping the newest offset of its channels.
CREATE OR REPLACE FUNCTION headroom.clean_stream(own_term bigint, retention_s integer) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = on
AS $$
DECLARE
  here headroom.leader;
  newest timestamptz;
BEGIN
  SELECT * INTO here FROM headroom.leader WHERE term = own_term;
  IF NOT FOUND THEN
    RETURN 0;
  END IF;
  FOR slot IN 0 .. 5 LOOP
    CONTINUE WHEN slot = headroom.stream_slot(here.period_s)
      OR pg_relation_size(format('headroom.%I', 'stream_' || slot)) = 0
      -- The newest batch says how far was read.
      OR slot = (SELECT b.slot FROM headroom.batch b ORDER BY b.batch DESC LIMIT 1);
    EXECUTE format('SELECT at FROM headroom.%I ORDER BY seq DESC LIMIT 1', 'stream_' || slot) INTO newest;
    CONTINUE WHEN newest >= clock_timestamp() - make_interval(secs => retention_s);
    EXECUTE format(
      'INSERT INTO headroom.channel AS c (channel, newest, at)'
      ' SELECT channel, max(channel_offset), max(at) FROM headroom.%I WHERE data IS NOT NULL GROUP BY channel'
      ' ON CONFLICT (channel) DO UPDATE SET newest = greatest(c.newest, excluded.newest), at = excluded.at,'
      ' doomed = false',
      'stream_' || slot);
    CONTINUE WHEN NOT headroom.lock_slot('stream_' || slot) OR NOT headroom.lock_slot('batch_' || slot);
    EXECUTE format('TRUNCATE headroom.%I, headroom.%I', 'stream_' || slot, 'batch_' || slot);
    RETURN 1;
  END LOOP;
  RETURN 0;
END $$;

-- Forgets channels without messages: those that were doomed `object_s` ago and to which nobody objected; when
-- there are none, dooms others that had no message for `unused_s`, a bounded number of them. Answers how many
-- it forgot.
CREATE OR REPLACE FUNCTION headroom.forget_channels(own_term bigint, unused_s integer, object_s integer) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
AS $$
DECLARE
  most CONSTANT integer := 5000;
  forgotten integer;
  highest bigint;
BEGIN
  PERFORM FROM headroom.leader WHERE term = own_term;
  IF NOT FOUND THEN
    RETURN 0;
  END IF;
  -- Those that got a message since are in the stream.
  WITH used AS (
    UPDATE headroom.channel c SET doomed = false, at = clock_timestamp()
    WHERE c.doomed AND c.at < clock_timestamp() - make_interval(secs => object_s)
      AND EXISTS (SELECT FROM headroom.stream s WHERE s.channel = c.channel AND s.data IS NOT NULL)),
  gone AS (
    DELETE FROM headroom.channel c
    WHERE c.doomed AND c.at < clock_timestamp() - make_interval(secs => object_s)
      AND NOT EXISTS (SELECT FROM headroom.stream s WHERE s.channel = c.channel AND s.data IS NOT NULL)
    RETURNING c.newest)
  SELECT count(*), max(g.newest) INTO forgotten, highest FROM gone g;
  IF highest > (SELECT o.channel_offset FROM headroom.origin o) THEN
    UPDATE headroom.origin SET channel_offset = headroom.power_of_two(highest);
  END IF;
  IF forgotten = 0 AND NOT EXISTS (SELECT FROM headroom.channel c WHERE c.doomed) THEN
    UPDATE headroom.channel c SET doomed = true, at = clock_timestamp()
    WHERE c.channel IN (SELECT u.channel FROM headroom.channel u
                        WHERE NOT u.doomed AND u.at < clock_timestamp() - make_interval(secs => unused_s)
                        ORDER BY u.at LIMIT most);
  END IF;
  RETURN forgotten;
END $$;

-- Of 1,024 and its doubles the first that is not below a number.
CREATE OR REPLACE FUNCTION headroom.power_of_two(number bigint) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  power bigint := 1024;
BEGIN
  WHILE power < number LOOP
    power := power * 2;
  END LOOP;
  RETURN power;
END $$;

-- What will be forgotten, and a node's objection.
CREATE OR REPLACE FUNCTION headroom.doomed_channels() RETURNS SETOF text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
AS 'SELECT c.channel FROM headroom.channel c WHERE c.doomed';

CREATE OR REPLACE FUNCTION headroom.keep_channels(used text[]) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
AS 'UPDATE headroom.channel SET doomed = false, at = clock_timestamp() WHERE doomed AND channel = ANY (used)';
