module rehearsal.kit/oci-wrapper

go 1.24.0
