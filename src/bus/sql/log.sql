-- The write-ahead log in place of the outbox: a slot of this database keeps what publications write there, and the
-- sequencer reads it. The slot is there before any publication goes that way, and none does any more when it is
-- lost: table headroom.log, which comes with the first slot, has a row while publications go into the log.

-- How things stand: for the sequencer, and for whoever wants to know what is missing.
CREATE OR REPLACE FUNCTION headroom.log_state(OUT slot text, OUT slot_state text, OUT process integer, OUT retained bigint,
                                              OUT bound bigint, OUT wal_level text, OUT publication boolean,
                                              OUT may_replicate boolean, OUT prefix text, OUT logged boolean,
                                              OUT lost boolean, OUT lsn pg_lsn, OUT lsn_read bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  slot := format('headroom_bus_%s', (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()));
  -- One that is being made has no position yet: it waits for transactions, and nothing is kept for it.
  SELECT CASE WHEN s.wal_status = 'lost' THEN 'lost' WHEN s.confirmed_flush_lsn IS NULL THEN 'making' ELSE s.wal_status END,
         s.active_pid, pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn)
  INTO slot_state, process, retained FROM pg_replication_slots s WHERE s.slot_name = slot;
  slot_state := coalesce(slot_state, 'missing');
  bound := (SELECT nullif(g.setting::bigint, -1) * 1024 * 1024 FROM pg_settings g WHERE g.name = 'max_slot_wal_keep_size');
  wal_level := current_setting('wal_level');
  publication := EXISTS (SELECT FROM pg_publication p WHERE p.pubname = 'headroom_bus');
  may_replicate := (SELECT r.rolreplication OR r.rolsuper FROM pg_roles r WHERE r.rolname = session_user);
  SELECT a.prefix, a.log_lost INTO prefix, lost FROM headroom.about a;
  logged := false;
  IF to_regclass('headroom.log') IS NOT NULL THEN
    logged := EXISTS (SELECT FROM headroom.log);
  END IF;
  SELECT b.lsn, b.lsn_read INTO lsn, lsn_read FROM headroom.batch b ORDER BY b.batch DESC LIMIT 1;
END $$;

-- The slot is there: from now on publications go into the log. Or it is gone, and what was in it: the outbox until
-- there is another slot. With a slot that is lost begins another history, and once more with the one that
-- follows it: publications that were open meanwhile may be lost as well.
DROP FUNCTION IF EXISTS headroom.begin_log(bigint), headroom.lose_log(bigint);
CREATE OR REPLACE FUNCTION headroom.use_log(own_term bigint, is_there boolean) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM headroom.check_term(own_term);
  IF is_there THEN
    CREATE TABLE IF NOT EXISTS headroom.log (prefix text NOT NULL);
    INSERT INTO headroom.log SELECT a.prefix FROM headroom.about a WHERE NOT EXISTS (SELECT FROM headroom.log);
  ELSE
    PERFORM headroom.leave_log();
  END IF;
  IF NOT is_there OR (SELECT a.log_lost FROM headroom.about a) THEN
    UPDATE headroom.leader SET generation = substr(md5(gen_random_uuid()::text), 1, 12);
    UPDATE headroom.about SET log_lost = NOT is_there;
  END IF;
END $$;

-- Publications go through the outbox again. What the slot still holds is read as long as a node reads it.
CREATE OR REPLACE FUNCTION headroom.leave_log() RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF to_regclass('headroom.log') IS NOT NULL THEN
    DELETE FROM headroom.log;
  END IF;
END $$;
