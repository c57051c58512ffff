// An OCI runtime that asks for one capability less, then becomes runc.
//
// `docker run --privileged`, which kind needs, asks for every capability that the kernel knows. On a machine whose
// bounding set lacks CAP_SYS_RESOURCE runc then fails with "unable to apply caps". The list is in a JSON file that the
// engine writes for each container (config.json of the bundle) and for each exec (the file named by --process).
// Installed by ci/kit/engine only where the capability is missing.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

const missing = "CAP_SYS_RESOURCE"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "oci-wrapper:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	for _, arg := range args {
		switch arg {
		case "create", "run":
			bundle := option(args, "--bundle", "-b") // without it: the working directory, as runc has it
			if err := edit(filepath.Join(bundle, "config.json"), "process"); err != nil {
				return err
			}
		case "exec":
			if process := option(args, "--process", "-p"); process != "" {
				if err := edit(process); err != nil {
					return err
				}
			}
		default:
			continue
		}
		break // the first bare word is the command: a later "run" is a container's name
	}
	runc, err := exec.LookPath("runc")
	if err != nil {
		return err
	}
	return syscall.Exec(runc, append([]string{"runc"}, args...), os.Environ())
}

// option finds `--name value`, `--name=value` or `-n value`.
func option(args []string, long, short string) string {
	for i, arg := range args {
		if value, found := strings.CutPrefix(arg, long+"="); found {
			return value
		}
		if (arg == long || arg == short) && i+1 < len(args) {
			return args[i+1]
		}
	}
	return ""
}

// edit rewrites the file without the capability; path leads to the object that holds `capabilities`.
func edit(file string, path ...string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber() // 64-bit masks and limits must come out as they went in
	var document map[string]any
	if err := decoder.Decode(&document); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	object := document
	for _, key := range append(path, "capabilities") {
		next, ok := object[key].(map[string]any)
		if !ok {
			return nil // nothing asked for, nothing to take away
		}
		object = next
	}
	for set, value := range object {
		names, _ := value.([]any)
		kept := []any{}
		for _, name := range names {
			if name != missing {
				kept = append(kept, name)
			}
		}
		object[set] = kept
	}
	if text, err = json.Marshal(document); err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}
