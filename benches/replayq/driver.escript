#!/usr/bin/env escript
%% Drives Erlang's replayq: reads `append GROUPS` and `drain` line by line, and answers each with `MICROSECONDS ITEMS`.
-mode(compile).

main([Source, Directory, ItemBytes, GroupSize]) ->
    ok = filelib:ensure_path(Directory),
    [{ok, _} = compile:file(File, [{outdir, Directory}]) || File <- filelib:wildcard(Source ++ "/src/*.erl")],
    true = code:add_patha(Directory),
    {ok, [Application]} = file:consult(Source ++ "/src/replayq.app.src"),
    ok = application:load(Application),
    ok = application:start(replayq),
    Queue = replayq:open(#{dir => Directory ++ "/queue", seg_bytes => 10485760, max_total_bytes => 1 bsl 40}),
    Item = crypto_free_bytes(list_to_integer(ItemBytes)),
    Group = [<<Item/binary>> || _ <- lists:seq(1, list_to_integer(GroupSize))],
    io:format("ready~n"),
    loop(Queue, Group).

crypto_free_bytes(Count) ->
    << <<(rand:uniform(256) - 1)>> || _ <- lists:seq(1, Count) >>.

loop(Queue, Group) ->
    case io:get_line("") of
        "append " ++ Count ->
            {Groups, _} = string:to_integer(Count),
            {Time, Next} = timer:tc(fun() -> append(Queue, Group, Groups) end),
            io:format("~b ~b~n", [Time, Groups * length(Group)]),
            loop(Next, Group);
        "drain" ++ _ ->
            {Time, {Next, Items}} = timer:tc(fun() -> drain(Queue, 0) end),
            io:format("~b ~b~n", [Time, Items]),
            loop(Next, Group);
        _ ->
            replayq:close(Queue)
    end.

append(Queue, _Group, 0) -> Queue;
append(Queue, Group, Left) -> append(replayq:append(Queue, Group), Group, Left - 1).

drain(Queue, Done) ->
    case replayq:is_empty(Queue) of
        true ->
            {Queue, Done};
        false ->
            {Next, Reference, Items} = replayq:pop(Queue, #{bytes_limit => {at_most, 1 bsl 40}, count_limit => 1000}),
            ok = replayq:ack(Next, Reference),
            drain(Next, Done + length(Items))
    end.
