-- $1 id
select j.id from "we""ird: 50% Schema"._private_jobs j where j.id = $1::BIGINT for update
