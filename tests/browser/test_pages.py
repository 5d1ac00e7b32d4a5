"""The pages as a user works with them; each test is a Node program beside this file."""


def test_a_slow_sale_is_followed_from_the_session_list_to_the_line_of_code(browse):
    browse('slow_sale.mjs')


def test_people_sign_in_and_are_refused(browse):
    browse('sign_in.mjs')


def test_a_rule_is_switched_and_the_next_call_appears_live(browse):
    browse('rules_live.mjs')


def test_the_stack_of_a_call_that_hangs_is_shown_to_who_may_see_it(browse):
    browse('stack.mjs')


def test_the_flame_graph_is_walked_zoomed_and_searched(browse):
    browse('flame.mjs')


def test_what_is_empty_or_failed_says_what_to_do(browse):
    browse('states.mjs')


def test_two_sessions_are_compared(browse):
    browse('compare.mjs')


def test_the_keyboard_alone_is_enough(browse):
    browse('keyboard.mjs')


def test_every_page_is_accessible_and_fits_in_both_themes_and_widths(browse):
    browse('look.mjs')


def test_what_applications_send_is_shown_as_text(browse):
    browse('hostile.mjs')


def test_plans_are_drawn_or_refused_in_words(browse_postgresql):
    browse_postgresql('plan.mjs')


def test_who_waits_for_whose_lock_is_shown_live_and_the_focused_table_has_the_keys(browse_postgresql):
    browse_postgresql('blocked.mjs')


def test_advice_leads_to_the_calls_that_it_rests_on(browse):
    browse('advice.mjs')


def test_files_for_other_tools_are_saved(browse):
    browse('files.mjs')


def test_a_hundred_thousand_rows_sort_and_scroll(browse_kept):
    browse_kept('many_rows.mjs', '--many', '100000')


def test_names_and_texts_of_a_megabyte_leave_every_answer_and_page_small(browse_kept):
    assert browse_kept('hostile_store.mjs', '--hostile') < 500


def test_what_runs_and_what_was_recorded_is_sorted_filtered_and_keeps_its_place(browse):
    browse('live_tables.mjs')
