# Completion for headroom(1). A test compares the names below with those of the command line itself.

_headroom_commands="session method table call profile db io query repeat conflict overview top block stack advice explain diff export trace trytond status prune import bus worklist serve help"
_headroom_common="--config --store --trytond-config --color --json --no-pager --width --help --version"
_headroom_filters="--since --until --user --database --method --limit --offset"

# The calls that run now, and their processes.
_headroom_running() {
  local options=() i
  for ((i = 1; i < COMP_CWORD - 1; i++)); do
    case "${COMP_WORDS[i]}" in
      --config) options+=("${COMP_WORDS[i]}" "${COMP_WORDS[i + 1]}") ;;
    esac
  done
  headroom "${options[@]}" stack --limit 10 2>/dev/null | sed -n 's/^call \([^ ]*\) .*  process \([0-9]*\) .*/\1\n\2/p' | sort -u
}

# The sessions of the store that the words typed so far choose.
_headroom_sessions() {
  local options=() i
  for ((i = 1; i < COMP_CWORD - 1; i++)); do
    case "${COMP_WORDS[i]}" in
      --config | --store | --trytond-config) options+=("${COMP_WORDS[i]}" "${COMP_WORDS[i + 1]}") ;;
    esac
  done
  headroom "${options[@]}" session --limit 200 2>/dev/null | tail -n +2 | cut -f1
}

_headroom_options() {
  case "$1" in
    trace:add) echo "--user --database --method --profile --sample-profile --db --io --query --slower-than --sample --for" ;;
    repeat:*) echo "$_headroom_filters --contains --at-least" ;;
    session:*) echo "${_headroom_filters/--method /} --contains" ;;
    overview:*) echo "${_headroom_filters/--user /} --contains" ;;
    method:* | table:* | profile:* | db:* | io:* | query:* | conflict:*) echo "$_headroom_filters --contains" ;;
    call:*) echo "$_headroom_filters" ;;
    diff:*) echo "--by --measure --threshold --user --database --method --limit --offset" ;;
    advice:*) echo "$_headroom_filters" ;;
    top:*) echo "--once --sort" ;;
    block:*) echo "--database --url" ;;
    explain:*) echo "--fingerprint --analyze --timeout --url" ;;
    export:*) echo "--format --report --user --database --method --since --until" ;;
    prune:*) echo "--age --size" ;;
    import:*) echo "--as" ;;
    stack:*) echo "--limit" ;;
    serve:*) echo "--listen" ;;
    bus:publish) echo "--token-file --id --text" ;;
    bus:tail) echo "--token-file --count --history" ;;
    bus:channels) echo "--token-file --prefix --limit" ;;
    bus:connections) echo "--token-file --user --channel --queued --after --limit" ;;
    bus:disconnect) echo "--token-file --user --session" ;;
    bus:sql) ;;
    bus:check) echo "--token-file --nginx" ;;
    bus:*) echo "--token-file" ;;
    worklist:check) echo "--file --url --timeout" ;;
    worklist:plan | worklist:explain) echo "--file --url --timeout --user --user-file --way" ;;
    worklist:count) echo "--file --url --timeout --user --user-file --way --all --live" ;;
    worklist:watch) echo "--user --count --all" ;;
    worklist:documents) echo "--file --url --timeout --user --user-file --limit --after" ;;
    worklist:*) ;;
  esac
}

_headroom() {
  local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD - 1]}"
  local command="" argument="" position=0 i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "${COMP_WORDS[i]}" in
      --json | --no-pager | --analyze | --text | --all | --help | --version) ;;
      --*) i=$((i + 1)) ;;
      *)
        if [[ -z $command ]]; then command="${COMP_WORDS[i]}"; else argument="${argument:-${COMP_WORDS[i]}}"; fi
        position=$((position + 1))
        ;;
    esac
  done
  case "$previous" in
    --config | --trytond-config | --file | --user-file) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    --format) mapfile -t COMPREPLY < <(compgen -W "speedscope pprof collapsed pstats csv otlp-json" -- "$current"); return ;;
    --by) mapfile -t COMPREPLY < <(compgen -W "method table statement" -- "$current"); return ;;
    --measure) mapfile -t COMPREPLY < <(compgen -W "time sql count" -- "$current"); return ;;
    --way) mapfile -t COMPREPLY < <(compgen -W "auto join cells merged each" -- "$current"); return ;;
    --color) mapfile -t COMPREPLY < <(compgen -W "auto always never" -- "$current"); return ;;
  esac
  if [[ $current == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$_headroom_common $(_headroom_options "$command:$argument")" -- "$current")
  elif [[ -z $command ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$_headroom_commands" -- "$current")
  elif [[ $position == 1 ]]; then
    case "$command" in
      method | table | call | profile | db | io | query | repeat | conflict | diff | advice | explain | export)
        mapfile -t COMPREPLY < <(compgen -W "$(_headroom_sessions)" -- "$current") ;;
      stack) mapfile -t COMPREPLY < <(compgen -W "$(_headroom_running)" -- "$current") ;;
      trace) mapfile -t COMPREPLY < <(compgen -W "add list remove" -- "$current") ;;
      worklist) mapfile -t COMPREPLY < <(compgen -W "check plan count documents explain import watch refresh" -- "$current") ;;
      bus) mapfile -t COMPREPLY < <(compgen -W "publish tail channels connections presence disconnect check sql" -- "$current") ;;
      trytond) mapfile -t COMPREPLY < <(compgen -W "check" -- "$current") ;;
      help) mapfile -t COMPREPLY < <(compgen -W "$_headroom_commands" -- "$current") ;;
    esac
  elif [[ $command:$argument == trytond:check ]]; then
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
  elif [[ $position == 2 && $command == diff ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$(_headroom_sessions)" -- "$current")
  elif [[ $position == 2 && ($command == method || $command == table) ]]; then
    mapfile -t COMPREPLY < <(compgen -W "t n a" -- "$current")
  fi
}

complete -F _headroom headroom
