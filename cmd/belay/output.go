package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/printers"
	"sigs.k8s.io/yaml"
)

// output is the -o flag of the commands that list.
type output string

func (o *output) addTo(cmd *cobra.Command) {
	cmd.Flags().StringVarP((*string)(o), "output", "o", "", "json, yaml or table")
}

// print writes value as JSON or YAML, or else a table of rows under a header.
func (o output) print(w io.Writer, value any, header []string, rows [][]string) error {
	switch o {
	case "json":
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(value)
	case "yaml":
		text, err := yaml.Marshal(value)
		if err == nil {
			_, err = w.Write(text)
		}
		return err
	case "", "table":
		table := printers.GetNewTabWriter(w)
		for _, row := range append([][]string{header}, rows...) {
			fmt.Fprintln(table, strings.Join(row, "\t"))
		}
		return table.Flush()
	}
	return fmt.Errorf("-o %s: table, json and yaml are what there is", o)
}
