// Command kubectl_yaml says what kubectl reads in YAML: a list of documents on standard input, as JSON,
// and on standard output for each of them its value, or why there is none.
package main

import (
	"encoding/json"
	"log"
	"os"

	"sigs.k8s.io/yaml"
)

type reading struct {
	Value json.RawMessage `json:"value,omitempty"`
	Error string          `json:"error,omitempty"`
}

func main() {
	var documents []string
	if err := json.NewDecoder(os.Stdin).Decode(&documents); err != nil {
		log.Fatal(err)
	}
	readings := make([]reading, len(documents))
	for number, document := range documents {
		value, err := yaml.YAMLToJSON([]byte(document))
		if err != nil {
			readings[number] = reading{Error: err.Error()}
		} else {
			readings[number] = reading{Value: value}
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(readings); err != nil {
		log.Fatal(err)
	}
}
