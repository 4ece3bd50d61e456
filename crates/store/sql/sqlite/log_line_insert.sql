insert into log_line (run, seq, at, stream, line)
values (?1, ?2, ?3, ?4, ?5)
