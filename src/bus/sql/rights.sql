REVOKE ALL ON ALL FUNCTIONS IN SCHEMA headroom FROM PUBLIC;
GRANT USAGE ON SCHEMA headroom TO headroom_publisher, headroom_node;
-- A node publishes what its clients do through headroom.accept.
REVOKE ALL ON FUNCTION headroom.publish(text, text, text), headroom.publish(text, jsonb, text) FROM headroom_node;
GRANT EXECUTE ON FUNCTION headroom.publish(text, text, text), headroom.publish(text, jsonb, text) TO headroom_publisher;
GRANT EXECUTE ON FUNCTION headroom.accept, headroom.epoch, headroom.node_state, headroom.break_history,
  headroom.poll, headroom.positions, headroom.history, headroom.campaign, headroom.sequence,
  headroom.clean_outbox, headroom.clean_stream, headroom.forget_channels, headroom.doomed_channels,
  headroom.keep_channels, headroom.log_state, headroom.use_log,
  headroom.hear_nodes, headroom.tell_nodes, headroom.revoke, headroom.revocations
TO headroom_node;
RESET ROLE;
