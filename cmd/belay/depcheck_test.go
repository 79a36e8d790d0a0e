package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/belay-gitops/belay"

// imports is what each package of this module imports, tests left out.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	command := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	command.Dir = "../.."
	text, err := command.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("%v: %s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	all := map[string][]string{}
	decoder := json.NewDecoder(bytes.NewReader(text))
	for {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimPrefix(p.ImportPath, module+"/")] = p.Imports
	}
}

// within tells whether a package is path or below it.
func within(imported, path string) bool {
	return imported == path || strings.HasPrefix(imported, path+"/")
}

// One outside library per package: who wants to know what belay asks of go-git reads sync/git, and nothing else.
func TestEachOutsideLibraryIsWrappedByOnePackage(t *testing.T) {
	of := func(packages ...string) []string { return packages }
	libraries := map[string][]string{
		"github.com/go-git/go-git/v5":               of("sync/git"),
		"github.com/google/go-containerregistry":    of("registry"),
		"github.com/pelletier/go-toml/v2":           of("registry"), // hosts.toml is TOML
		"k8s.io/kubelet":                            of("registry/provider"),
		"sigs.k8s.io/kustomize":                     of("render"),
		"go.yaml.in/yaml/v3":                        of("render"),
		"github.com/fluxcd/cli-utils":               of("sync/health"),
		"github.com/google/cel-go":                  of("sync/health"),
		"k8s.io/client-go":                          of("sync/cluster"),
		"github.com/klauspost/compress":             of("sync/cluster"),
		"sigs.k8s.io/controller-runtime":            of("sync/cluster"),
		"sigs.k8s.io/controller-runtime/pkg/client": of("cmd/belay", "sync/cluster"), // the commands read and watch Syncs
		"sigs.k8s.io/structured-merge-diff/v6":      of("sync/cluster"),
		"github.com/spf13/cobra":                    of("cmd/belay"),
		"github.com/pmezard/go-difflib":             of("cmd/belay"),
		"k8s.io/cli-runtime":                        of("cmd/belay"),
	}
	used := map[string]bool{}
	for importer, list := range imports(t) {
		for _, imported := range list {
			library := ""
			for path := range libraries {
				if within(imported, path) && len(path) > len(library) {
					library = path
				}
			}
			if library == "" {
				continue
			}
			used[library+" by "+importer] = true
			if !slices.Contains(libraries[library], importer) {
				t.Errorf("%s imports %s, which is for %v alone", importer, imported, libraries[library])
			}
		}
	}
	for library, packages := range libraries {
		for _, importer := range packages {
			if !used[library+" by "+importer] {
				t.Errorf("%s does not import %s any more: take it out of this table", importer, library)
			}
		}
	}
}

// What flows goes one way: nobody imports who comes after.
func TestOurPackagesImportOnlyWhatComesBefore(t *testing.T) {
	allowed := map[string][]string{
		"manifests":         nil,
		"manifests/install": nil,
		"registry":          nil,
		"registry/provider": {"registry"},
		"sync/api/v1alpha1": nil,
		"sync/git":          nil,
		"render":            {"manifests"},
		"sync":              {"manifests", "sync/api/v1alpha1"},
		"sync/health":       {"manifests"},
		"sync/cluster":      {"manifests", "sync/api/v1alpha1", "sync/health"},
	}
	all := imports(t)
	for _, importer := range slices.Sorted(maps.Keys(all)) {
		list, known := allowed[importer]
		for _, imported := range all[importer] {
			ours, ok := strings.CutPrefix(imported, module+"/")
			switch {
			case !ok:
			case within(ours, "cmd"):
				t.Errorf("%s imports %s: nothing imports cmd", importer, ours)
			case known && !slices.Contains(list, ours):
				t.Errorf("%s imports %s, but may only import %v", importer, ours, list)
			}
		}
		if !known && !within(importer, "cmd") && !within(importer, "e2e") {
			t.Errorf("%s is a new package: say in this table what it may import", importer)
		}
	}
	for importer := range allowed {
		if _, there := all[importer]; !there {
			t.Errorf("%s is in this table, and is not there", importer)
		}
	}
}
