package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var faultRow = regexp.MustCompile(`(?m)^\| (Registry|Apply|Health|Rollback|Agent) \| (.+) \| (\[.+\)) \|$`)

// TestEveryFaultIsNamedByItsTests reads docs/faults.md: each test that it names says so in its first line.
func TestEveryFaultIsNamedByItsTests(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "docs", "faults.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := faultRow.FindAllStringSubmatch(string(text), -1)
	if want := strings.Count(string(text), "\n| ") - 1; len(rows) != want || want < 30 {
		t.Errorf("%d of %d rows can be read", len(rows), want)
	}
	for _, row := range rows {
		section, fault := row[1], row[2]
		for _, link := range regexp.MustCompile(`\]\(\.\./([^)]+)\)`).FindAllStringSubmatch(row[3], -1) {
			test, err := os.ReadFile(filepath.Join("..", link[1]))
			if err != nil {
				t.Errorf("%s, %s: %v", section, fault, err)
				continue
			}
			first, _, _ := strings.Cut(string(test), "\n")
			if !strings.Contains(first, "FAULTS, "+section+": ") || !strings.Contains(first, fault) {
				t.Errorf("%s does not name %q in its first line: %s", link[1], fault, first)
			}
		}
	}
}
