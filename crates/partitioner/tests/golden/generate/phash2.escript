#!/usr/bin/env escript
%% escript phash2.escript < keys.txt > phash2.tsv
main([]) ->
    case io:get_line("") of
        eof -> ok;
        Line ->
            Key = string:trim(Line),
            Bytes = << <<(list_to_integer([A, B], 16))>> || {A, B} <- pairs(Key) >>,
            io:format("~s\t~B~n", [Key, erlang:phash2(Bytes)]),
            main([])
    end.

pairs([A, B | Rest]) -> [{A, B} | pairs(Rest)];
pairs([]) -> [].
