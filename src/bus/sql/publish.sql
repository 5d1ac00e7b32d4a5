-- The slot of the outbox that is filled now: four a minute.
CREATE OR REPLACE FUNCTION headroom.outbox_slot() RETURNS smallint LANGUAGE sql VOLATILE
AS 'SELECT ((pg_catalog.date_part(''epoch'', pg_catalog.clock_timestamp())::bigint / 15) % 4)::smallint';

-- Says what is wrong with a publication, if anything is.
CREATE OR REPLACE FUNCTION headroom.check_publication(channel text, payload text, id text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  most CONSTANT integer := (SELECT a.message_bytes FROM headroom.about a);
BEGIN
  IF channel IS NULL OR octet_length(channel) NOT BETWEEN 1 AND 255 OR channel ~ '[\x01-\x1f\x7f"\\]' THEN
    RAISE EXCEPTION 'the channel''s name has 1 to 255 bytes, without control characters, quotes and backslashes'
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF octet_length(id) NOT BETWEEN 1 AND 64 THEN
    RAISE EXCEPTION 'the id of a message for channel % has % bytes; 1 to 64 are accepted', channel, octet_length(id)
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF octet_length(payload) > most THEN
    RAISE EXCEPTION 'a message of % bytes for channel % is too large; % are accepted', octet_length(payload), channel, most
      USING ERRCODE = 'program_limit_exceeded';
  END IF;
  IF payload IS NULL OR payload::json IS NULL THEN
    RAISE EXCEPTION 'the message for channel % is NULL; JSON''s null is ''null''', channel
      USING ERRCODE = 'null_value_not_allowed';
  END IF;
END $$;

-- Publishes when the caller's transaction commits, and only then. Inserts one row, or, where a slot keeps them,
-- writes one message into the write-ahead log; takes no lock that another publisher waits for, in any isolation
-- level. Repeats of an id on a channel within 5 minutes are dropped
-- afterwards. With the setting headroom.notify = on it also wakes the sequencer: see docs/bus-postgresql.md
-- for what that costs.
CREATE OR REPLACE FUNCTION headroom.publish(channel text, payload text, id text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  usual_slot integer;
  log_prefix text;
BEGIN
  -- All that is usual in one expression: each costs, and most does one that is not immutable, since it takes a
  -- snapshot. The slot that is filled now, for a message of one line that goes into the outbox and wakes nobody; -1
  -- for another one that is fine.
  usual_slot := CASE
    WHEN channel !~ '^$|[\x01-\x1f\x7f"\\]' AND octet_length(channel) <= 255 AND octet_length(payload) <= 32768
         AND (id IS NULL OR (id <> '' AND octet_length(id) <= 64))
    THEN CASE
      WHEN payload::json IS NOT NULL AND payload !~ '[\r\n]'
           AND to_regclass('headroom.log') IS NULL AND current_setting('headroom.notify', true) IS DISTINCT FROM 'on'
      THEN (date_part('epoch', clock_timestamp())::bigint / 15 % 4)::integer
      ELSE -1
    END
  END;
  -- Into the slot itself: finding it through the parent costs a tenth of the whole.
  CASE usual_slot
    WHEN 0 THEN INSERT INTO headroom.outbox_0 (slot, channel, id, data) VALUES (0, channel, id, payload); RETURN;
    WHEN 1 THEN INSERT INTO headroom.outbox_1 (slot, channel, id, data) VALUES (1, channel, id, payload); RETURN;
    WHEN 2 THEN INSERT INTO headroom.outbox_2 (slot, channel, id, data) VALUES (2, channel, id, payload); RETURN;
    WHEN 3 THEN INSERT INTO headroom.outbox_3 (slot, channel, id, data) VALUES (3, channel, id, payload); RETURN;
    ELSE NULL;
  END CASE;
  IF usual_slot IS NULL THEN
    PERFORM headroom.check_publication(channel, payload, id);
  END IF;
  IF strpos(payload, chr(10)) > 0 OR strpos(payload, chr(13)) > 0 THEN
    payload := translate(payload, E'\r\n', '  ');
  END IF;
  -- The table comes with the first slot. Its row is asked for in the transaction's snapshot: nothing in it is the
  -- outbox, which is read as well.
  IF to_regclass('headroom.log') IS NOT NULL THEN
    SELECT l.prefix INTO log_prefix FROM headroom.log l;
    IF log_prefix IS NOT NULL THEN
      PERFORM pg_logical_emit_message(true, log_prefix,
                                      concat(channel, E'\n\n', octet_length(id), E'\n', id, payload));
      RETURN;
    END IF;
  END IF;
  INSERT INTO headroom.outbox (slot, channel, id, data) VALUES (headroom.outbox_slot(), channel, id, payload);
  IF current_setting('headroom.notify', true) = 'on' THEN
    PERFORM pg_notify('headroom_outbox', '');
  END IF;
END $$;

CREATE OR REPLACE FUNCTION headroom.publish(channel text, payload jsonb, id text DEFAULT NULL) RETURNS void
LANGUAGE sql VOLATILE AS 'SELECT headroom.publish($1, $2::text, $3)';

-- What a node publishes for its clients: a group in one transaction, durable whatever the database's default.
CREATE OR REPLACE FUNCTION headroom.accept(channels text[], ids text[], tickets bigint[], datas text[])
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  log_prefix text;
BEGIN
  IF current_setting('synchronous_commit') = 'off' THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;
  IF to_regclass('headroom.log') IS NOT NULL THEN
    SELECT l.prefix INTO log_prefix FROM headroom.log l;
    IF log_prefix IS NOT NULL THEN
      PERFORM pg_logical_emit_message(true, log_prefix,
                                      concat(m.channel, E'\n', m.ticket, E'\n', octet_length(m.id), E'\n', m.id, m.data))
      FROM (SELECT * FROM unnest(channels, ids, tickets, datas) WITH ORDINALITY AS u (channel, id, ticket, data, n)
            ORDER BY n) m;
      RETURN;
    END IF;
  END IF;
  INSERT INTO headroom.outbox (slot, channel, id, ticket, data)
  SELECT headroom.outbox_slot(), m.channel, nullif(m.id, ''), m.ticket, m.data
  FROM unnest(channels, ids, tickets, datas) WITH ORDINALITY AS m (channel, id, ticket, data, n) ORDER BY n;
  IF current_setting('headroom.notify', true) = 'on' THEN
    PERFORM pg_notify('headroom_outbox', '');
  END IF;
END $$;
