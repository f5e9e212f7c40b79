module go_pod

go 1.24
