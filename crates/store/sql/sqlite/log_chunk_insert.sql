insert into log_chunk (run, seq, lines)
values (?1, ?2, ?3)
