-- late_result_put (SQLite): a second report of the same run takes the place of the first.
insert or replace into late_result (task, slot, fence, at, said, error_code, error_message, error_detail, output)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
