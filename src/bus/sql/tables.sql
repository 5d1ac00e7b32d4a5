-- outbox   what transactions published and nobody has read yet; `tx` says whose visibility decides
-- stream   what the sequencer made of it: `seq` without gaps over all channels, an offset per channel
-- batch    how far the sequencer has read, as snapshots: appended, never updated, since an old open
--          transaction would keep every version of an updated row
-- channel  the newest offset of channels whose messages are gone
-- origin   after which offset a channel begins that none of them knows
-- leader   who is sequencer: one row, which no publisher ever touches
--
-- outbox, stream and batch are lists of partitions ("slots") that time fills in turn; a slot is emptied as a
-- whole, with its file, when nobody needs it.
CREATE TABLE IF NOT EXISTS headroom.about (
  only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
  version integer NOT NULL,
  message_bytes integer NOT NULL DEFAULT 32768
);

DO $$
BEGIN
  IF EXISTS (SELECT FROM headroom.about WHERE version > 1) THEN
    RAISE EXCEPTION 'schema headroom is of version %, newer than this executable knows (1)',
      (SELECT version FROM headroom.about);
  END IF;
END $$;
INSERT INTO headroom.about (version) VALUES (1) ON CONFLICT (only_one) DO UPDATE SET version = 1;

-- What marks messages in the write-ahead log as ours; who can't read this can't forge one.
ALTER TABLE headroom.about ADD COLUMN IF NOT EXISTS prefix text NOT NULL DEFAULT 'headroom ' || gen_random_uuid();
-- A slot was lost with what it kept, and no other one has begun.
ALTER TABLE headroom.about ADD COLUMN IF NOT EXISTS log_lost boolean NOT NULL DEFAULT false;

CREATE SEQUENCE IF NOT EXISTS headroom.source;

CREATE TABLE IF NOT EXISTS headroom.outbox (
  slot smallint NOT NULL,
  source bigint NOT NULL DEFAULT nextval('headroom.source'),
  tx xid8 NOT NULL DEFAULT pg_current_xact_id(),
  ticket bigint,  -- whom to tell the offset
  channel text NOT NULL,
  id text,
  data text NOT NULL
) PARTITION BY LIST (slot);
CREATE INDEX IF NOT EXISTS outbox_tx ON headroom.outbox (tx, source);

CREATE TABLE IF NOT EXISTS headroom.stream (
  slot smallint NOT NULL,
  seq bigint NOT NULL,
  source bigint NOT NULL,
  ticket bigint,
  at timestamptz NOT NULL,
  channel text NOT NULL,
  channel_offset bigint NOT NULL,
  id text,
  bytes integer NOT NULL,
  data text  -- nothing: a repeat of the message at channel_offset
) PARTITION BY LIST (slot);
CREATE INDEX IF NOT EXISTS stream_seq ON headroom.stream (seq);
CREATE INDEX IF NOT EXISTS stream_offset ON headroom.stream (channel, channel_offset) WHERE data IS NOT NULL;
CREATE INDEX IF NOT EXISTS stream_id ON headroom.stream (channel, id) WHERE id IS NOT NULL AND data IS NOT NULL;

-- Rows that `since` does not show and `until` does are to be read. A window of many rows is read in parts:
-- then read_tx and read_source say how far.
CREATE TABLE IF NOT EXISTS headroom.batch (
  slot smallint NOT NULL,
  batch bigint NOT NULL,
  term bigint NOT NULL,
  seq bigint NOT NULL,  -- of the newest row of stream
  since pg_snapshot NOT NULL,
  until pg_snapshot NOT NULL,
  read_tx xid8,
  read_source bigint
) PARTITION BY LIST (slot);
-- Of the write-ahead log: the commit of the newest transaction that was read, and how many of its messages.
ALTER TABLE headroom.batch ADD COLUMN IF NOT EXISTS lsn pg_lsn NOT NULL DEFAULT '0/0';
ALTER TABLE headroom.batch ADD COLUMN IF NOT EXISTS lsn_read bigint NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX IF NOT EXISTS batch_number ON headroom.batch (batch, slot);

CREATE TABLE IF NOT EXISTS headroom.channel (
  channel text PRIMARY KEY,
  newest bigint NOT NULL,
  at timestamptz NOT NULL
) WITH (fillfactor = 80);

-- A channel that nobody uses is forgotten in two steps: first it is doomed, and every node may object.
ALTER TABLE headroom.channel ADD COLUMN IF NOT EXISTS doomed boolean NOT NULL DEFAULT false;
CREATE INDEX IF NOT EXISTS channel_doomed ON headroom.channel (doomed, at);

-- Never below an offset of a channel that was forgotten, so that one that comes back uses none again. It
-- doubles when it has to grow: whoever waits in a channel that never had a message is told of a loss then.
CREATE TABLE IF NOT EXISTS headroom.origin (
  only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
  channel_offset bigint NOT NULL DEFAULT 0
);
INSERT INTO headroom.origin DEFAULT VALUES ON CONFLICT DO NOTHING;

CREATE TABLE IF NOT EXISTS headroom.leader (
  only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
  term bigint NOT NULL DEFAULT 0,
  node text NOT NULL DEFAULT '',
  since timestamptz NOT NULL DEFAULT now(),
  period_s integer NOT NULL DEFAULT 75,  -- of a slot of stream
  system bigint NOT NULL DEFAULT (pg_control_system()).system_identifier,
  -- Of this history: another after a loss that is proven, and in a schema that is made anew.
  generation text NOT NULL DEFAULT substr(md5(gen_random_uuid()::text), 1, 12)
) WITH (fillfactor = 20);
INSERT INTO headroom.leader DEFAULT VALUES ON CONFLICT DO NOTHING;

-- Rows are only appended and slots emptied as a whole: there is nothing to vacuum.
DO $$
DECLARE
  stem text;
  slots integer;
BEGIN
  FOR stem, slots IN VALUES ('outbox', 4), ('stream', 6), ('batch', 6) LOOP
    FOR slot IN 0 .. slots - 1 LOOP
      EXECUTE format(
        'CREATE TABLE IF NOT EXISTS headroom.%I PARTITION OF headroom.%I FOR VALUES IN (%s)'
        ' WITH (autovacuum_enabled = off, toast.autovacuum_enabled = off)',
        stem || '_' || slot, stem, slot);
    END LOOP;
  END LOOP;
END $$;

INSERT INTO headroom.batch (slot, batch, term, seq, since, until)
SELECT 0, 1, 0, 0, pg_current_snapshot(), pg_current_snapshot()
WHERE NOT EXISTS (SELECT FROM headroom.batch);
