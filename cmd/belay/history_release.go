package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/duration"
	"sigs.k8s.io/yaml"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync"
	"github.com/belay-gitops/belay/sync/cluster"
)

// show prints one release: its objects, or what is known of it.
func (h historyCommand) show(cmd *cobra.Command, s *stored) error {
	records, err := s.records(cmd)
	if err != nil {
		return err
	}
	record, err := s.record(records, h.release)
	if err != nil {
		return err
	}
	release, err := s.journal.Load(cmd.Context(), record.Number)
	if err != nil {
		return err
	}
	if h.output == "" {
		lines := details(record, release, time.Now())
		return h.output.print(cmd.OutOrStdout(), nil, lines[0], lines[1:])
	}
	return h.objects(cmd.OutOrStdout(), release.Objects)
}

// details are the lines about one release, each a name and a value.
func details(record manifests.Record, release manifests.Release, now time.Time) [][]string {
	rows := [][]string{
		{"Release:", strconv.Itoa(record.Number)},
		{"Commit:", record.Commit.Hash},
		{"Author:", oneLine(record.Commit.Author)},
		{"Subject:", oneLine(record.Commit.Subject)},
		{"Result:", string(record.Outcome.Result)},
		{"Reason:", record.Outcome.Reason},
		{"Message:", oneLine(record.Outcome.Message)},
		{"Took:", sync.HistoryEntry(record).Duration.Duration.String()},
		{"When:", record.At.UTC().Format(time.RFC3339) + ", " + duration.HumanDuration(now.Sub(record.At)) + " ago"},
		{"Objects:", strconv.Itoa(release.Objects.Len())},
	}
	rows = slices.DeleteFunc(rows, func(row []string) bool { return row[1] == "" })
	title := "Images:"
	for _, image := range slices.Sorted(maps.Keys(release.Pins)) {
		_, digest, _ := strings.Cut(release.Pins[image], "@")
		rows = append(rows, []string{title, image + " -> " + digest})
		title = ""
	}
	return rows
}

// objects prints a release's objects as they were applied: a YAML stream, or a JSON List.
func (h historyCommand) objects(w io.Writer, objects manifests.Set) error {
	var list []map[string]any
	for _, object := range objects.Objects() {
		u := object.Unstructured()
		if !h.showSecrets {
			u = cluster.Mask(u)
		}
		list = append(list, u.Object)
	}
	if h.output != "yaml" {
		return h.output.print(w, map[string]any{"apiVersion": "v1", "kind": "List", "items": list}, nil, nil)
	}
	for _, content := range list {
		text, err := yaml.Marshal(content)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "---\n%s", text); err != nil {
			return err
		}
	}
	return nil
}
