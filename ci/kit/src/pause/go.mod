module rehearsal.kit/pause

go 1.24.0
