-- Three roles, none of which logs in. `headroom_owner` owns everything in the schema; who publishes is given
-- `headroom_publisher`, and the login of `headroom serve` is given `headroom_node`.
DO $$
DECLARE
  wanted text;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['headroom_owner', 'headroom_publisher', 'headroom_node'] LOOP
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = wanted) THEN
      EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', wanted);
    END IF;
  END LOOP;
  EXECUTE pg_catalog.format('GRANT headroom_owner TO %I', current_user);
END $$;

-- pgoutput wants one, also of no table. It takes the right CREATE in the database.
DO $$
BEGIN
  IF current_setting('wal_level') = 'logical'
     AND NOT EXISTS (SELECT FROM pg_catalog.pg_publication WHERE pubname = 'headroom_bus') THEN
    CREATE PUBLICATION headroom_bus;
  END IF;
END $$;

CREATE SCHEMA IF NOT EXISTS headroom AUTHORIZATION headroom_owner;
SET LOCAL ROLE headroom_owner;
