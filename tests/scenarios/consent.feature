@F2
Feature: Consent
  A supplier says on which ground personal data may be processed, before anything is recorded about it.

  Background:
    Given a consortium with its founding policy

  Scenario: Personal data without a lawful basis is refused
    When the hospital registers personal data without a lawful basis
    Then it is refused as "invalid-field"
    And the refusal names the field "/basis"

  Scenario: A run over data that rests on consent names a selection from the map in force when it started
    Given the hospital selected what a patient permitted for research
    When the lab records a run over the selection for research
    Then upstream of the run are the selection and the version

  Scenario: A run whose purpose the consent does not permit is refused
    Given the hospital selected what a patient permitted for research
    When the lab records a run over the selection for care
    Then it is refused as "purpose-differs"

  Scenario: A run over data that rests on consent without a selection is refused
    Given the hospital selected what a patient permitted for research
    When the lab records a run over the whole version for research
    Then it is refused as "selection-missing"

  Scenario: A run over a selection from an older map than was in force is refused
    Given the hospital selected what a patient permitted for research
    When the patient withdraws
    And the lab records a run over the selection for research
    Then it is refused as "selection-outdated"

  Scenario: Of a withdrawal and a run at once exactly one order holds
    Given the hospital selected what a patient permitted for research
    When the patient withdraws while the lab records runs over the selection
    Then every run that stands was ordered before the withdrawal

  Scenario: A subject's consent is proven given, withdrawn and absent, as of any version of the map
    Given the hospital opened a consent map with the patients "ann, bob"
    When the patient "eve" gives consent
    And the patient "ann" withdraws consent
    Then versions 1 to 3 prove that the consent of "ann" is "given, given, withdrawn"
    And versions 1 to 3 prove that the consent of "bob" is "given, given, given"
    And versions 1 to 3 prove that the consent of "eve" is "absent, given, given"

  Scenario: A controller changes the consent of many subjects in one transaction
    Given the hospital opened a consent map with 500 patients
    When the hospital records that all of them withdrew, except the first
    Then one transaction changed the consent of 499 patients
    And versions 1 to 2 prove that the consent of "patient 0" is "given, given"
    And versions 1 to 2 prove that the consent of "patient 499" is "given, withdrawn"

  Scenario: A purpose that an organisation registered is called by its title
    Given the hospital registered a purpose
    And the hospital opened a consent map with a patient who consents to that purpose
    When the hospital selects for that purpose, and the lab records a run for it
    Then the selection and the run have the purpose's term

  Scenario: Only the controller changes consent
    Given the hospital opened a consent map with the patients "ann, bob"
    When the lab withdraws the consent of "ann" with the hospital's proof
    Then it is refused as "not-the-owner"

  Scenario: A change over a map that has moved is refused
    Given the hospital opened a consent map with the patients "ann, bob"
    When the hospital withdraws the consent of "ann" as of before "bob" withdrew
    Then it is refused as "consent-map-moved"
    And the refusal names the root to build on

  Scenario: Of two changes of one map at once exactly one holds
    Given the hospital opened a consent map with the patients "ann, bob"
    When "ann" and "bob" withdraw at once, each over version 1
    Then it is refused as "consent-map-moved"
    And the refusal names the root to build on

  Scenario: A change whose proof does not hold is refused
    Given the hospital opened a consent map with the patients "ann, bob"
    When the hospital withdraws the consent of "ann" with a proof that does not hold
    Then it is refused as "consent-proof-fails"

  Scenario: A withdrawal dated before its consent is refused
    Given the hospital opened a consent map with the patients "ann, bob"
    When the hospital records that "ann" withdrew on "2025-12-31"
    Then it is refused as "consent-backdated"

  Scenario: A withdrawal dated in the future is refused
    Given the hospital opened a consent map with the patients "ann, bob"
    When the hospital records that "ann" withdrew on "2999-12-31"
    Then it is refused as "dated-in-the-future"

  Scenario: A withdrawal answers with its impact, from the subject to the models built on it
    Given the lab trained a model on what four patients permitted, held one out, and built another model on it
    When the patient of the record "a" withdraws
    Then it is answered that "a" reached training, and that the lab has to retrain or document both models
    And the training selection is marked, so that both models need review
    And the hospital's signed statement of it verifies offline and names no patient

  Scenario: The impact says whether a record reached training or only a hold-out
    Given the lab trained a model on what four patients permitted, held one out, and built another model on it
    When the patient of the record "d" withdraws
    Then it is answered that "d" was held out only, and that the lab has to evaluate both models again
    And as of the height before it nobody has to do anything

  Scenario: A subject's receipt verifies offline
    Given the lab trained a model on what four patients permitted, held one out, and built another model on it
    When the patient of the record "b" withdraws
    Then the receipts of "b" from before it and of now verify offline, and an altered one does not
    And the hospital's gateway shows both states of "b"

  Scenario: A change of consent marks only what was selected for what is no longer permitted
    Given the hospital selected what a patient permitted for research and for a purpose of its own
    When the patient permits research alone
    Then the selection for its own purpose is marked, and that for research is not
    And the impact has a duty for the one, and none for the other

  Scenario: A change that affects more selections than a transaction marks has all of them marked
    Given the hospital selected 66 times what a patient permitted for a purpose of its own
    When the patient permits research alone
    Then all selections for its own purpose are marked, 64 by the change and the others after it

  Scenario: A selection that is not the data set's is not marked for it
    Given the hospital selected what a patient permitted for research and for a purpose of its own
    When the patient permits research alone
    And the hospital marks a selection from another data set for it
    Then it is refused as "invalid-field"
    And the refusal names the field "/selections/0"
