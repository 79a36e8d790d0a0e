package render_test

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/belay-gitops/belay/manifests"
)

// corpora holds real applications, and what `kustomize build` and kubectl make of them.
const corpora = "../../shared/corpora"

func TestRealApplicationsRenderToWhatKustomizeMakesOfThem(t *testing.T) {
	t.Parallel()
	variants := table(t, "apps.csv")
	for _, variant := range variants[1:] {
		name, dir := variant[0], variant[1]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set, err := process(t).Build(t.Context(), os.DirFS(corpora), dir)
			if err != nil {
				t.Fatal(err)
			}
			var got, want []string
			for _, o := range set.Objects() {
				id := o.ID()
				got = append(got, strings.Join([]string{o.Unstructured().GetAPIVersion(), id.Kind, id.Namespace, id.Name}, ","))
				if info, err := os.Stat(filepath.Join(corpora, o.File)); err != nil || info.IsDir() {
					t.Errorf("%s is said to be in %s", id, o.File)
				}
			}
			for _, row := range table(t, "expected/"+name+".objects.csv")[1:] {
				want = append(want, strings.Join(row, ","))
			}
			slices.Sort(got)
			slices.Sort(want)
			same(t, got, want)

			images, err := os.ReadFile(filepath.Join(corpora, "expected", name+".images"))
			if err != nil {
				t.Fatal(err)
			}
			same(t, manifests.ImageNames(set.Images(nil)), slices.Sorted(strings.FieldsSeq(string(images))))
		})
	}
}

func table(t *testing.T, name string) [][]string {
	t.Helper()
	file, err := os.Open(filepath.Join(corpora, name))
	if os.IsNotExist(err) {
		t.Skipf("the corpus of applications is not here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}
